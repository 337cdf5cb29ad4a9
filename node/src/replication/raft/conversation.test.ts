/** What the core does, step by step, in `testdata/`: to be read as much as to be run. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import test from 'node:test';

import { Conversation, parseConversation, printBlock } from './testing/conversation.ts';

const folder = new URL('./testdata/', import.meta.url);

for (const name of readdirSync(folder).sort()) {
  test(name.replace(/\.txt$/, '').replaceAll('-', ' '), () => {
    const path = new URL(name, folder);
    const conversation = new Conversation();
    const blocks = parseConversation(readFileSync(path, 'utf8'));
    const outputs = blocks.map((block) => ({ block, output: conversation.run(block.command) }));
    if (process.env['UPDATE_TESTDATA'] === '1') {
      const text = outputs.map(({ block, output }) => printBlock(block, output)).join('\n\n');
      writeFileSync(path, `${text}\n`);
      return;
    }
    for (const { block, output } of outputs) assert.equal(output, block.expected, block.command);
  });
}
