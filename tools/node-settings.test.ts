/** The operator knows the settings of the nodes without importing them; so does the resource definition. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { settingKeys, settingOf } from '../node/src/config/settings.ts';
import { nodeSettings, operatorSettings } from '../operator/src/api/node-settings.ts';

const definition = readFileSync(
  join(import.meta.dirname, '../crds/sierradb.io_sierraclusters.yaml'),
  'utf8',
);

/** Keys in the list behind `before` in a rule of the definition. */
function keysBehind(before: string): string[] {
  const [list = ''] = (definition.split(`${before} [`)[1] ?? '').split(']');
  return [...list.matchAll(/'([^']+)'/g)].map(([, key = '']) => key).sort();
}

describe('the settings of the nodes', () => {
  it('are either for people to set or for the operator', () => {
    const known = [...Object.keys(nodeSettings), ...Object.keys(operatorSettings)];
    assert.deepEqual(known.sort(), [...settingKeys].sort());
  });

  it('have the kinds and bounds that the operator checks', () => {
    for (const key of settingKeys) {
      const { kind, min, max, choices } = settingOf(key);
      const bounds = {
        ...(min !== undefined && { min }),
        ...(max !== undefined && { max }),
        ...(choices !== undefined && { choices }),
      };
      if (!Object.hasOwn(operatorSettings, key)) {
        assert.deepEqual(nodeSettings[key], { kind, ...bounds }, key);
      }
    }
  });

  it('stand in the rules of the resource definition', () => {
    assert.deepEqual(keysBehind('self.all(key, key in'), [...settingKeys].sort());
    assert.deepEqual(keysBehind('self.all(key, !(key in'), Object.keys(operatorSettings).sort());
  });
});
