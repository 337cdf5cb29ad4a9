/**
 * Client libraries in many languages against the running node: `checks.ts` says what each is asked, `client-list.ts` which,
 * `toolchains.ts` where their drivers come from. A client whose toolchain the machine lacks is skipped, with the reason.
 */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';

import { clients, type ClientRow } from './client-list.ts';
import { record, recorded, resultOf, type Result } from './results.ts';
import { runDriver } from './run-driver.ts';

const isUpdate = process.env['UPDATE_DOCS'] === '1';
const known = new Map(isUpdate ? [] : recorded().map((result) => [result.client, result]));
const results = new Map<string, Result>();

async function resultFor({ name, toolchain, variant }: ClientRow): Promise<Result> {
  const driver = await toolchain();
  if ('skipped' in driver) return { client: name, skipped: driver.skipped };
  return resultOf(name, await runDriver(driver, variant));
}

describe('clients', () => {
  // The builds go on while the clients without one are tested. One that fails, fails the tests of its clients.
  for (const { toolchain } of clients) toolchain().catch(() => undefined);

  for (const client of clients) {
    test(client.name, async (context) => {
      const result = await resultFor(client);
      results.set(client.name, result);
      if ('skipped' in result) {
        const driver = await client.toolchain();
        if ('detail' in driver) context.diagnostic(driver.detail);
        context.skip(result.skipped);
        return;
      }
      const failed = Object.entries(result.showed).filter(([, text]) => text.startsWith('failed'));
      assert.deepEqual(failed, []);
      const before = known.get(client.name);
      if (before !== undefined && 'showed' in before) {
        assert.deepEqual(result.showed, before.showed, 'as results.json has it (see results.ts)');
      }
    });
  }

  after(() => {
    if (!isUpdate) return;
    const all = clients
      .map(({ name }) => results.get(name))
      .filter((result) => result !== undefined);
    assert.equal(all.length, clients.length, 'a table without a row is not written');
    record(all);
  });
});
