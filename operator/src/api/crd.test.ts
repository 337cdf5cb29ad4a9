/** Holds the resource definition against the types of this folder, and against what an API server demands of a definition. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Ajv } from 'ajv';
import { load } from 'js-yaml';

import { firstAssignment } from '../../../common/assignment.ts';
import { API_VERSION, conditionTypes, KIND, PLURAL, settledSpec } from './sierra-cluster.ts';
import type { SierraCluster, SierraClusterStatus } from './sierra-cluster.ts';
import { DeclaredTypes, type Shape } from './testing/declared-types.ts';
import {
  definition,
  definitionFile,
  fieldsOf,
  jsonSchemaOf,
  type Schema,
  schema,
  specSchema,
  statusSchema,
} from './testing/definition.ts';

const root = join(import.meta.dirname, '../../..');
const types = new DeclaredTypes([
  join(import.meta.dirname, 'sierra-cluster.ts'),
  join(root, 'common/assignment.ts'),
]);
const ajv = new Ajv({
  strict: false,
  useDefaults: true,
  allErrors: true,
  formats: { int32: true, int64: true },
});

/** Throws with everything that is wrong. Fills in defaults. */
function demand(of: Schema, value: unknown): void {
  const validate = ajv.compile(jsonSchemaOf(of));
  assert.ok(validate(value), JSON.stringify(validate.errors, null, 1));
}

describe('the resource definition', () => {
  it('has the fields of the types: those of the spec', () => {
    assert.deepEqual(differences(specSchema, types.named('SierraClusterSpec'), 'spec'), []);
  });

  it('has the fields of the types: those of the status', () => {
    assert.deepEqual(differences(statusSchema, types.named('SierraClusterStatus'), 'status'), []);
  });

  it('notices a field that only one of them has', () => {
    const { properties = {}, ...rest } = statusSchema;
    const { plan, ...others } = properties;
    const renamed = { ...rest, properties: { ...others, ...(plan && { plans: plan }) } };
    assert.deepEqual(differences(renamed, types.named('SierraClusterStatus'), 'status'), [
      'status.plans: only in the definition',
      'status.plan: only in the types',
    ]);
  });

  it('has the names of the types', () => {
    const { group, names, versions } = definition.spec;
    assert.equal(`${group}/${versions[0]!.name}`, API_VERSION);
    assert.equal(names['kind'], KIND);
    assert.equal(`${PLURAL}.${group}`, definition.metadata.name);
    assert.match(definition.metadata.annotations['sierradb.io/schema-version'] ?? '', /^\d+$/);
  });

  it('has the defaults that the operator has', () => {
    const spec = {};
    demand(specSchema, spec);
    const image = { image: 'sierradb:1' };
    assert.deepEqual(settledSpec(spec, image), settledSpec({}, image));
  });

  it('explains every field', () => {
    const silent = [...fieldsOf(schema)].filter(
      ([path, { description = '' }]) => isField(path) && !/[.:]$/.test(description),
    );
    assert.deepEqual(
      silent.map(([path]) => path),
      [],
    );
  });

  it('bounds every text, list and map, or rules in CEL are refused for what they could cost', () => {
    const open = [...fieldsOf(schema)].filter(([path, of]) => isField(path) && isUnbounded(of));
    assert.deepEqual(
      open.map(([path]) => path),
      [],
    );
  });

  it('says in every rule what to do', () => {
    const rules = [...fieldsOf(schema)].flatMap(([, of]) => of['x-kubernetes-validations'] ?? []);
    assert.ok(rules.length > 20);
    for (const { message } of rules) {
      assert.match(message, /: [a-z`]|must be \d+ to \d+/, message);
      assert.ok(!message.includes('\n'), message);
    }
  });

  it('shows columns of fields that are there', () => {
    const paths = new Set([...fieldsOf(schema)].map(([path]) => `.${path}`));
    for (const { jsonPath } of definition.spec.versions[0]!.additionalPrinterColumns) {
      const path = jsonPath.replace(/\[\?\(.*\)\]/, '[]');
      assert.ok(paths.has(path) || path.startsWith('.metadata.'), jsonPath);
    }
    const conditions = statusSchema.properties!['conditions']!.description ?? '';
    for (const type of conditionTypes) assert.ok(conditions.includes(type), type);
  });

  it('is small enough for `kubectl apply`, which keeps a copy in an annotation', () => {
    assert.ok(statSync(definitionFile).size < 200_000);
  });

  it('is the one in the chart', () => {
    const copy = join(root, 'charts/sierradb-operator/files/sierradb.io_sierraclusters.yaml');
    assert.equal(readFileSync(copy, 'utf8'), readFileSync(definitionFile, 'utf8'));
  });
});

describe('objects', () => {
  it('of manifests/samples are accepted', () => {
    const folder = join(root, 'manifests/samples');
    const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'));
    assert.ok(files.length > 3);
    for (const file of files) {
      demand(schema, load(readFileSync(join(folder, file), 'utf8')));
    }
  });

  it('with the largest record there can be are accepted', () => {
    const status: SierraClusterStatus = largestStatus();
    demand(statusSchema, structuredClone(status));
    // What an object may have in etcd is 1.5 MiB.
    assert.ok(JSON.stringify(status).length < 400_000);
  });

  it('with a field that there is not, or a wrong type, are refused', () => {
    const cluster = (spec: object): Partial<SierraCluster> & { spec: object } => ({
      ...{ apiVersion: API_VERSION, kind: KIND, metadata: { name: 'orders' }, spec },
    });
    assert.doesNotThrow(() => demand(schema, cluster({ config: { 'cache.heads': 5000 } })));
    for (const wrong of [
      { nodes: '3' },
      { replicas: 3 },
      { storage: { size: 10 } },
      { config: { 'cache.heads': true } },
      { pod: { imagePullSecrets: [{}] } },
    ]) {
      assert.throws(() => demand(schema, cluster(wrong)), JSON.stringify(wrong));
    }
  });
});

/** 64 nodes, each of them being replaced, and a thousand that have gone. */
function largestStatus(): SierraClusterStatus {
  const id = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
  const members = Array.from({ length: 128 }, (_, index) => ({
    ...{ id: id(index), index },
    address: `${'n'.repeat(40)}-z9-${index}.${'n'.repeat(40)}-nodes.${'s'.repeat(63)}.svc:9190`,
  }));
  const counts = { bucketCount: 256, partitionCount: 65_535, factor: 5 };
  const assignment = firstAssignment(id(0), counts, members);
  return {
    assignment: { ...assignment, removed: Array.from({ length: 1000 }, (_, n) => id(n)) },
    members: members.map((member) => ({
      ...{ id: member.id, index: member.index, pod: `${'n'.repeat(40)}-z9-${member.index}` },
      ...{ zone: null, state: 'Active', ready: true, leaders: 4, replicas: 20 },
    })),
    rollout: { revision: 'a1b2', pod: null, since: null, failed: [] },
    plan: { action: 'scale down', target: null, waitsFor: 'buckets move' },
  };
}

const isField = (path: string): boolean =>
  path !== '' &&
  path !== 'metadata' &&
  !path.endsWith('[]') &&
  !path.endsWith('*') &&
  !/overrides\.statefulSet\.(metadata|spec)$/.test(path);

function isUnbounded(of: Schema): boolean {
  if (of.type === 'string') {
    return of.enum === undefined && of.maxLength === undefined && !/^`/.test(of.description ?? '');
  }
  if (of.type === 'array') return of.maxItems === undefined;
  return of.additionalProperties !== undefined && of.maxProperties === undefined;
}

/** What a schema and a type do not agree about, a line each. */
function differences(of: Schema, shape: Shape, path: string): string[] {
  switch (shape.kind) {
    case 'string':
      return of.type === 'string' && of.enum === undefined ? [] : [`${path}: is a string`];
    case 'number':
      return of.type === 'integer' ? [] : [`${path}: is a number`];
    case 'boolean':
      return of.type === 'boolean' ? [] : [`${path}: is a boolean`];
    case 'choice':
      // What the operator says of itself may have more values in a later one.
      if (path.startsWith('status.') && of.type === 'string') return [];
      return String(of.enum) === String(shape.choices) ? [] : [`${path}: ${String(shape.choices)}`];
    case 'list':
      return of.items === undefined
        ? [`${path}: is a list`]
        : differences(of.items, shape.items, `${path}[]`);
    case 'map':
      if (of['x-kubernetes-preserve-unknown-fields'] === true) return [];
      return of.additionalProperties === undefined
        ? [`${path}: is a map`]
        : differences(of.additionalProperties, shape.values, `${path}.*`);
    case 'unknown':
      return of['x-kubernetes-int-or-string'] === true
        ? []
        : [`${path}: ${String(of.type)} in the definition`];
    case 'object':
      return objectDifferences(of, shape.fields, path);
  }
}

function objectDifferences(
  of: Schema,
  fields: Extract<Shape, { kind: 'object' }>['fields'],
  path: string,
): string[] {
  const { properties = {}, required = [] } = of;
  const extra = Object.keys(properties).filter((name) => !Object.hasOwn(fields, name));
  return [
    ...extra.map((name) => `${path}.${name}: only in the definition`),
    ...Object.entries(fields).flatMap(([name, { shape, isOptional, isNullable }]) => {
      const at = `${path}.${name}`;
      const inner = properties[name];
      if (inner === undefined) return [`${at}: only in the types`];
      const isRequired = required.includes(name);
      return [
        ...(isRequired === (!isOptional && !isNullable) ? [] : [`${at}: required in one of them`]),
        ...((inner.nullable ?? false) === isNullable ? [] : [`${at}: may be null in one of them`]),
        ...differences(inner, shape, at),
      ];
    }),
  ];
}
