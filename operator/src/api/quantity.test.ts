import assert from 'node:assert/strict';
import { it } from 'node:test';

import { bytesOfQuantity, quantityOfBytes } from './quantity.ts';

it('reads quantities as Kubernetes does', () => {
  const quantities: Readonly<Record<string, number>> = {
    ...{ '10Gi': 10 * 2 ** 30, '1.5Ti': 1.5 * 2 ** 40, '500M': 5e8, '1e9': 1e9, '2E3': 2000 },
    ...{ '128974848': 128974848, '129e6': 129e6, '0.5': 1, '100m': 1, '+1Ki': 1024, '2E': 2e18 },
  };
  for (const [text, bytes] of Object.entries(quantities)) {
    assert.equal(bytesOfQuantity(text), bytes, text);
  }
});

it('reads nothing else', () => {
  for (const text of ['', 'Gi', '10 Gi', '10GB', '10gi', '-1Gi', '1e', 'NaN', '1.2.3', '1Gi ']) {
    assert.equal(bytesOfQuantity(text), null, text);
  }
});

it('writes sizes as people do', () => {
  for (const text of ['10Gi', '1536Mi', '2Ti', '1Ki', '1000', '0']) {
    assert.equal(quantityOfBytes(bytesOfQuantity(text) ?? -1), text);
  }
});
