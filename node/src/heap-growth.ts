/** How much may pile up in the heap before V8 collects. It may be set at any time. */
import { setFlagsFromString } from 'node:v8';

const percent = {
  /** On a machine with much memory V8 lets four times the live heap pile up before it collects. */
  narrow: 50,
  /** While segments are copied, buffers pass through by the hundred megabytes: a third of all CPU would be the collector's. */
  wide: 200,
} as const;

export function setHeapGrowth(growth: keyof typeof percent): void {
  setFlagsFromString(`--heap-growing-percent=${String(percent[growth])}`);
}
