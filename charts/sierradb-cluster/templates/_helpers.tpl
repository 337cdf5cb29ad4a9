{{- define "sierradb-cluster.name" -}}
{{- default .Release.Name .Values.name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "sierradb-cluster.labels" -}}
app.kubernetes.io/name: sierradb
app.kubernetes.io/instance: {{ include "sierradb-cluster.name" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "sierradb-cluster.testImage" -}}
{{- default (default (printf "sierradb:%s" .Chart.AppVersion) .Values.spec.image) .Values.test.image -}}
{{- end -}}
