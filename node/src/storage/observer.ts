/** What the storage engine reports while it works. The node turns it into metrics; tests and the library may ignore it. */
export interface StorageObserver {
  /** A journal round became durable: `records` entries, `bytes` written, `seconds` from write to durable. */
  roundSynced(records: number, bytes: number, seconds: number): void;
  /** A segment was closed for writing and given its index files. */
  segmentSealed(bucket: number, segment: number, bytes: number): void;
  /** Recovery or a background task did something worth counting; `action` is one of the recovery table's labels. */
  recovery(action: string, detail: Readonly<Record<string, string | number>>): void;
}

export const silentObserver: StorageObserver = {
  roundSynced: () => undefined,
  segmentSealed: () => undefined,
  recovery: () => undefined,
};
