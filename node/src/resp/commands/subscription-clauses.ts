/** The clauses behind the targets of ESUB and EPSUB, wire protocol 4.1: `FROM …` and `WINDOW …`, either order, each at most once. */
import { type ArgumentReader, keyword, parseUnsigned } from '../arguments.ts';
import { argumentErrors } from '../errors.ts';

export const FROM: Buffer = keyword('FROM');
export const WINDOW: Buffer = keyword('WINDOW');
const LATEST = keyword('LATEST');
const MAP = keyword('MAP');
const DEFAULT = keyword('DEFAULT');

const EQUALS = 0x3d;

/** Where targets start: those in the map at their number, all others at `others`. */
export interface From<Key> {
  readonly map: ReadonlyMap<Key, number>;
  readonly others: number | 'latest';
}

export interface Clauses<Key> {
  readonly from: From<Key>;
  /** Null: no limit. */
  readonly window: number | null;
}

/** What the pairs of a `MAP` look like, `<key>=<number>`. */
export interface PairGrammar<Key> {
  /** A pair's name in errors. */
  readonly expected: string;
  /** The key in front of the last `=`; null or an error if it is none. */
  readonly key: (text: Buffer) => Key | null;
  /** Whether `DEFAULT <number>` may stand behind the pairs. */
  readonly hasDefault: boolean;
}

/** No event has a number above 2^53 - 1: a start up there is a start that is never reached. */
const position = (value: number | bigint): number =>
  typeof value === 'bigint' ? Number.MAX_SAFE_INTEGER : value;

export const startOf = <Key>({ map, others }: From<Key>, key: Key): number | 'latest' =>
  map.get(key) ?? others;

/** Reads the clauses up to the end of the command. */
export function readClauses<Key>(reader: ArgumentReader, pairs: PairGrammar<Key>): Clauses<Key> {
  let from: From<Key> | null = null;
  let window: number | null | undefined;
  while (reader.more) {
    if (reader.takes(FROM)) {
      const value = readFrom(reader, pairs);
      if (from !== null) throw argumentErrors.repeated('from');
      from = value;
    } else if (reader.takes(WINDOW)) {
      const value = readWindow(reader);
      if (window !== undefined) throw argumentErrors.repeated('window');
      window = value;
    } else {
      throw reader.unexpected('end of input');
    }
  }
  return { from: from ?? { map: new Map(), others: 'latest' }, window: window ?? null };
}

/** A window that can't be counted to is none. */
function readWindow(reader: ArgumentReader): number | null {
  const window = reader.count();
  if (window < 1) throw argumentErrors.tooSmall(window, 1);
  return window === Infinity ? null : window;
}

function readFrom<Key>(reader: ArgumentReader, pairs: PairGrammar<Key>): From<Key> {
  if (reader.takes(LATEST)) return { map: new Map(), others: 'latest' };
  if (reader.takes(MAP)) return readMap(reader, pairs);
  const expected = 'LATEST, number or MAP';
  const value = parseUnsigned(reader.bytes(expected));
  if (value === null) throw argumentErrors.unexpected(expected);
  return { map: new Map(), others: position(value) };
}

/** One pair or more. Of pairs with the same key the last one counts. */
function readMap<Key>(reader: ArgumentReader, pairs: PairGrammar<Key>): From<Key> {
  const map = new Map<Key, number>();
  do {
    const pair = reader.bytes(pairs.expected);
    // At the last one: stream ids may hold others.
    const equals = pair.lastIndexOf(EQUALS);
    const value = parseUnsigned(pair.subarray(equals + 1));
    const key = equals < 0 || value === null ? null : pairs.key(pair.subarray(0, equals));
    if (key === null || value === null) throw argumentErrors.unexpected(pairs.expected);
    map.set(key, position(value));
    if (pairs.hasDefault && reader.takes(DEFAULT)) {
      return { map, others: position(reader.unsigned()) };
    }
  } while (reader.more && !reader.nextIs(WINDOW));
  return { map, others: 'latest' };
}
