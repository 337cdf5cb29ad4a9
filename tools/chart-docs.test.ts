/** The charts' README.md and schemas have every value. UPDATE_DOCS=1 writes the tables. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Ajv } from 'ajv';
import { load } from 'js-yaml';

import { valuesTable } from './chart-docs.ts';
import { demandDerived } from './markdown.ts';

const charts = join(import.meta.dirname, '..', 'charts');
const version = (
  JSON.parse(readFileSync(join(charts, '..', 'package.json'), 'utf8')) as { version: string }
).version;

interface ValueSchema {
  readonly additionalProperties?: unknown;
  readonly properties?: Readonly<Record<string, ValueSchema>>;
}

/** Values that a closed schema does not have, or the other way round. */
function differences(schema: ValueSchema, value: unknown, path = ''): string[] {
  const { properties, additionalProperties } = schema;
  if (properties === undefined || additionalProperties !== false) return [];
  const given = value as Readonly<Record<string, unknown>>;
  const known = Object.keys(properties).filter((key) => key !== 'global');
  return [
    ...known.filter((key) => !Object.hasOwn(given, key)).map((key) => `${path}${key}: no default`),
    ...Object.entries(given).flatMap(([key, inner]) => {
      const of = properties[key];
      return of === undefined
        ? [`${path}${key}: not in the schema`]
        : differences(of, inner, `${path}${key}.`);
    }),
  ];
}

for (const chart of ['sierradb-operator', 'sierradb-cluster']) {
  describe(`the chart ${chart}`, () => {
    const file = (name: string): string => join(charts, chart, name);
    const values = readFileSync(file('values.yaml'), 'utf8');
    const schema = JSON.parse(readFileSync(file('values.schema.json'), 'utf8')) as ValueSchema;

    it('has a README.md with every value', () => {
      demandDerived(file('README.md'), 'values', valuesTable(values));
    });

    it('has a schema that knows every value, and accepts the defaults', () => {
      assert.deepEqual(differences(schema, load(values)), []);
      const validate = new Ajv({ strict: false }).compile(schema);
      assert.ok(validate(load(values)), JSON.stringify(validate.errors));
      assert.ok(!validate({ typo: 1 }));
    });

    it('has the version of the package', () => {
      const about = load(readFileSync(file('Chart.yaml'), 'utf8'));
      assert.partialDeepStrictEqual(about, { name: chart, version, appVersion: version });
    });
  });
}

describe('the table of values', () => {
  it('has a row for each comment, with the default', () => {
    const yaml =
      '# About the file.\n\n# Number.\na: 1\nb:\n  # Texts,\n  # or `x|y`.\n  c: []\n  d: 2\n# All of it.\ne:\n  f: 3\n';
    assert.deepEqual(valuesTable(yaml).split('\n').slice(2), [
      '| `a` | `1` | Number. |',
      '| `b.c` | `[]` | Texts, or `x\\|y`. |',
      '| `e` | `{"f":3}` | All of it. |',
    ]);
  });
});
