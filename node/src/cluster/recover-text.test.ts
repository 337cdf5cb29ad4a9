import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import type { RecoverResult } from './recover.ts';
import { recoverText } from './recover-text.ts';

const bucket = {
  ...{ bucket: 0, frames: 7, events: 9, uncommitted: 2 },
  ...{ lastTerm: 3, lastIndex: 7, isLearner: false },
};

const asked: RecoverResult = {
  ...{ directory: '/d', member: 'm', oldCluster: 'old', newCluster: null },
  ...{ lostMembers: ['a', 'b'], buckets: [bucket], missing: [1], isResumed: false, applied: false },
};

describe('what a recovery says', () => {
  it('beforehand: what is kept, what is not known, what is lost, and how to do it', () => {
    assert.equal(
      recoverText(asked),
      `/d: member m of cluster old
members that serve no more: a, b
bucket 0: 7 frames with 9 events kept, up to term 3, index 7; 2 frames not known to be committed
NOT HERE: bucket 1: all their events are lost, they begin anew
WARNING: events that were acknowledged by the lost members and had not arrived here are gone, and nothing can tell how many
WARNING: 2 frames become committed that may never have been; their appenders may have been told that they failed
nothing was changed; "sierradb cluster recover --unsafe /d --yes --lose-missing" does it
`,
    );
  });

  it('afterwards: what it is now, and how to start it', () => {
    const { lostMembers } = asked;
    const whole = [{ ...bucket, uncommitted: 0, isLearner: true }];
    const done = { ...asked, lostMembers, buckets: whole, missing: [], newCluster: 'new' };
    const text = recoverText({ ...done, isResumed: true, applied: true });
    assert.match(
      text,
      /index 7; IT WAS NO VOTER, still catching up or on its way out, and may lack much\n/,
    );
    assert.match(text, /an earlier run has begun this/);
    assert.match(text, /\nit is cluster new now, of this member alone; .* in \*\.before-recover\n/);
    assert.match(text, /\nstart it: sierradb --dir \/d --node-index 0 --node-count 1\n/);
  });
});
