/** Buckets of the histograms. */

/** Seconds: a round in memory takes tens of microseconds, a disk's sync 0.1 to 10 ms, a bad day seconds. */
export const latencyBounds: readonly number[] = [
  0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
  2.5, 10,
];

/** Records of a journal round. */
export const recordBounds: readonly number[] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096];

/** Bytes of a journal round. */
export const byteBounds: readonly number[] = [
  512, 2048, 8192, 32_768, 131_072, 524_288, 2_097_152, 8_388_608, 33_554_432,
];
