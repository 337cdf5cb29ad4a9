/** The resource definition as a value, and its schema as one that a validator of JSON understands. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { load } from 'js-yaml';

export interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly nullable?: boolean;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
  readonly items?: Schema;
  readonly maxLength?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
  readonly 'x-kubernetes-int-or-string'?: boolean;
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
  readonly 'x-kubernetes-validations'?: readonly Rule[];
}

export interface Rule {
  readonly rule: string;
  readonly message: string;
}

export interface Definition {
  readonly metadata: {
    readonly name: string;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly group: string;
    readonly names: Readonly<Record<string, string | readonly string[]>>;
    readonly versions: readonly {
      readonly name: string;
      readonly additionalPrinterColumns: readonly {
        readonly name: string;
        readonly jsonPath: string;
        readonly priority?: number;
      }[];
      readonly schema: { readonly openAPIV3Schema: Schema };
    }[];
  };
}

export const definitionFile: string = join(
  import.meta.dirname,
  '../../../../crds/sierradb.io_sierraclusters.yaml',
);

export const definition: Definition = load(readFileSync(definitionFile, 'utf8')) as Definition;

/** Of the only version. */
export const schema: Schema = definition.spec.versions[0]!.schema.openAPIV3Schema;

export const specSchema: Schema = schema.properties!['spec']!;
export const statusSchema: Schema = schema.properties!['status']!;

/** Every schema with the path of its field, the outermost first. */
export function* fieldsOf(of: Schema, path = ''): Generator<readonly [path: string, of: Schema]> {
  yield [path, of];
  for (const [name, inner] of Object.entries(of.properties ?? {})) {
    yield* fieldsOf(inner, path === '' ? name : `${path}.${name}`);
  }
  if (of.items !== undefined) yield* fieldsOf(of.items, `${path}[]`);
  if (of.additionalProperties !== undefined) yield* fieldsOf(of.additionalProperties, `${path}.*`);
}

/** JSON Schema that refuses what the API server refuses or drops, but for rules in CEL. */
export function jsonSchemaOf(of: Schema): object {
  const {
    properties,
    items,
    additionalProperties,
    nullable = false,
    type,
    'x-kubernetes-int-or-string': isIntOrString = false,
    'x-kubernetes-preserve-unknown-fields': keepsUnknown = false,
    'x-kubernetes-validations': _rules,
    ...rest
  } = of;
  const types = isIntOrString ? ['integer', 'string'] : [type].flat();
  const inner = Object.entries(properties ?? {}).map(([name, each]) => [name, jsonSchemaOf(each)]);
  const isClosed = type === 'object' && properties !== undefined && !keepsUnknown;
  return {
    ...rest,
    type: nullable ? [...types, 'null'] : types,
    ...(properties !== undefined && { properties: Object.fromEntries(inner) as object }),
    ...(items !== undefined && { items: jsonSchemaOf(items) }),
    ...(isClosed && { additionalProperties: false }),
    ...(additionalProperties !== undefined && {
      additionalProperties: jsonSchemaOf(additionalProperties),
    }),
  };
}
