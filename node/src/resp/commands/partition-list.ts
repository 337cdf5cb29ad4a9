/**
 * EPSUB's selector (wire protocol 4.1): `*`, or a list of partition ids, ascending ranges `a-b` and partition keys,
 * separated by commas, with blanks around them.
 */
import { parseUuid } from '../../../../common/ids.ts';
import { PARTITION_ID_MAX, parseUnsigned } from '../arguments.ts';
import { argumentErrors } from '../errors.ts';

const STAR = 0x2a;
const COMMA = 0x2c;
const MINUS = 0x2d;
const BLANK = 0x20;
const TAB = 0x09;

/** Where the ids come from that are not numbers, and which there are. */
export interface Partitions {
  readonly count: number;
  of(partitionKey: Uint8Array): number;
}

export const PARTITION_LIST = '*, partition id or comma-separated partition ids';

/** The selected partitions in ascending order, each once. Throws `INVALIDARG`. */
export function parsePartitionList(text: Buffer, partitions: Partitions): number[] {
  const changes = new Int32Array(partitions.count + 1);
  // Ranges are noted by their ends, so that a list of a million ranges takes no longer than one of a million ids.
  const mark = ({ from, to }: PartitionRange): void => {
    if (to >= partitions.count) throw argumentErrors.noSuchPartition(to, partitions.count);
    changes[from] = (changes[from] as number) + 1;
    changes[to + 1] = (changes[to + 1] as number) - 1;
  };
  if (text.length === 1 && text[0] === STAR) mark({ from: 0, to: partitions.count - 1 });
  else for (const item of items(text)) mark(parseItem(item, partitions));
  const selected: number[] = [];
  let covers = 0;
  for (let partition = 0; partition < partitions.count; partition += 1) {
    covers += changes[partition] as number;
    if (covers > 0) selected.push(partition);
  }
  return selected;
}

interface PartitionRange {
  readonly from: number;
  readonly to: number;
}

const isBlank = (byte: number | undefined): boolean => byte === BLANK || byte === TAB;

/** The parts between the commas without the blanks around them. */
function* items(text: Buffer): Generator<Buffer> {
  let at = 0;
  while (at <= text.length) {
    const comma = text.indexOf(COMMA, at);
    const next = comma < 0 ? text.length : comma;
    let end = next;
    while (at < end && isBlank(text[at])) at += 1;
    while (end > at && isBlank(text[end - 1])) end -= 1;
    yield text.subarray(at, end);
    at = next + 1;
  }
}

function parseItem(item: Buffer, partitions: Partitions): PartitionRange {
  // Keys first: they hold hyphens, too.
  const key = parseUuid(item);
  if (key !== null) {
    const partition = partitions.of(key);
    return { from: partition, to: partition };
  }
  const hyphen = item.indexOf(MINUS);
  const from = parseId(hyphen < 0 ? item : item.subarray(0, hyphen));
  const to = hyphen < 0 ? from : parseId(item.subarray(hyphen + 1));
  if (from > to) throw argumentErrors.partitionRange(from, to);
  return { from, to };
}

function parseId(text: Buffer): number {
  const id = parsePartitionId(text);
  if (id === null) throw argumentErrors.unexpected(PARTITION_LIST);
  return id;
}

/** A partition's number, whether it exists or not; null if it is none. */
export function parsePartitionId(text: Uint8Array): number | null {
  const id = parseUnsigned(text);
  return id === null || id > PARTITION_ID_MAX ? null : Number(id);
}
