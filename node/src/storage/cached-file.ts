import type { CachedBlock, LoadingBlock } from './block-cache.ts';

/** What a cached file reads from; a `FileHandle` is one. */
export interface ReadSource {
  /** Fills `target` from `position`; resolves with the bytes read, fewer than asked only at the end of the file. */
  read(target: Uint8Array, position: number): Promise<number>;
}

/**
 * A file whose blocks may be in the block cache. Its bytes up to `length` never change; the owner raises `length` as
 * the file grows.
 */
export class CachedFile {
  readonly path: string;
  readonly source: ReadSource;
  /** Bytes that may be read. */
  length: number;
  /** Set by `BlockCache.forget`: blocks that arrive later are not kept. */
  forgotten = false;
  /** The cache's own: blocks in memory, and those on their way, by number. */
  readonly blocks: Map<number, CachedBlock> = new Map();
  readonly loading: Map<number, LoadingBlock> = new Map();

  constructor(path: string, source: ReadSource, length: number) {
    this.path = path;
    this.source = source;
    this.length = length;
  }
}
