/** Data directories of every released format are opened for ever; `tools/make-golden.ts` made them. */
import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { RealFileSystem } from '../storage/real-file-system.ts';
import { formatReport, verifyDirectory } from '../storage/verify.ts';
import { openStore } from './index.ts';
import { eventsOf } from './testing/golden-events.ts';
import { eventById, type ObservedEvent, streamPage } from './testing/observed.ts';

const golden = join(import.meta.dirname, '../storage/testing/golden');

for (const version of readdirSync(golden)) {
  for (const state of ['closed', 'crashed']) {
    describe(`a directory of format ${version}, ${state}`, () => {
      let directory: string;
      let events: ObservedEvent[];

      before(async () => {
        directory = await mkdtemp(join(tmpdir(), 'sierradb-golden-'));
        await cp(join(golden, version, state), directory, { recursive: true });
        const lines = (await readFile(join(golden, version, 'events.jsonl'), 'utf8')).trim();
        events = lines.split('\n').map((line) => JSON.parse(line) as ObservedEvent);
      });

      after(() => rm(directory, { recursive: true }));

      it('is clean', async () => {
        const report = await verifyDirectory(new RealFileSystem(), directory);
        assert.ok(report.clean, formatReport(report));
      });

      it('holds what was appended, and takes more', async () => {
        const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex');
        {
          await using store = await openStore(directory, { journalFileBytes: 64 * 1024 });
          assert.deepEqual(await eventsOf(store), events);
          for (const event of events.slice(0, 50)) {
            assert.deepEqual(await eventById(store, bytes(event.eventId)), event);
            const { streamId, partitionKey, version: from } = event;
            const range = {
              streamId: Buffer.from(streamId, 'latin1'),
              partitionKey: bytes(partitionKey),
              from,
              to: from,
            };
            assert.deepEqual((await streamPage(store, range)).events, [event]);
          }
        }
        await using store = await openStore(directory);
        assert.deepEqual(await eventsOf(store), events);
      });
    });
  }
}
