/** What the disk itself allows: one writer, one outstanding write, each followed by fdatasync. */
import { closeSync, fdatasyncSync, fsyncSync, openSync, unlinkSync, writeSync } from 'node:fs';

import { Histogram } from './load/histogram.ts';

export interface DiskLimit {
  readonly writesPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface DiskProbe {
  /** Bytes of one write. */
  readonly bytes: number;
  /** `overwrite`: in a file that was filled with zeros and synced before; `extend`: at the end of a growing file. */
  readonly place: 'overwrite' | 'extend';
  readonly seconds: number;
}

const ZEROED_BYTES = 16 * 1024 * 1024;

function makeFile(path: string, zeroed: boolean): number {
  const file = openSync(path, 'w');
  if (zeroed) {
    const zeros = Buffer.alloc(1024 * 1024);
    for (let at = 0; at < ZEROED_BYTES; at += zeros.length)
      writeSync(file, zeros, 0, zeros.length, at);
  }
  fsyncSync(file);
  return file;
}

/** Blocks this process while it measures; `path` is made for it and removed. */
export function measureDisk(path: string, probe: DiskProbe): DiskLimit {
  const { bytes, place, seconds } = probe;
  const file = makeFile(path, place === 'overwrite');
  const data = Buffer.alloc(bytes, 'x');
  const latencies = new Histogram();
  const start = performance.now();
  const end = start + seconds * 1000;
  let at = 0;
  let now = start;
  while (now < end) {
    writeSync(file, data, 0, bytes, at);
    fdatasyncSync(file);
    const done = performance.now();
    latencies.record(done - now);
    now = done;
    at += bytes;
    if (place === 'overwrite' && at + bytes > ZEROED_BYTES) at = 0;
  }
  closeSync(file);
  unlinkSync(path);
  return {
    writesPerSecond: (latencies.count * 1000) / (now - start),
    p50Ms: latencies.quantile(0.5),
    p99Ms: latencies.quantile(0.99),
  };
}
