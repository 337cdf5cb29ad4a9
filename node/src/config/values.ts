/** Turns what a person wrote, in a file, a variable or a flag, into a value in base units, or says why not. */
import type { Address, Setting, SettingValue } from './settings.ts';

export type Parsed =
  | { readonly ok: true; readonly value: SettingValue }
  | { readonly ok: false; readonly reason: string };

const value = (given: SettingValue): Parsed => ({ ok: true, value: given });
const fault = (reason: string): Parsed => ({ ok: false, reason });

/** Bytes per unit. As in SI and IEC: `MB` is a million, `MiB` is 2^20. */
const units: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

/** Port of the cluster listener where an address leaves it to us (`tcp/0`). */
export const CLUSTER_PORT = 9190;

/** `raw` is a TOML value or a string. */
export function parseSetting(setting: Setting, raw: unknown): Parsed {
  switch (setting.kind) {
    case 'bytes':
      return withinBounds(
        setting,
        parseBytes(raw),
        'a size in bytes, for example 268435456 or 256MiB',
      );
    case 'count':
      return withinBounds(setting, parseWhole(raw), 'a whole number');
    case 'milliseconds':
      return withinBounds(setting, parseWhole(raw), 'a whole number of milliseconds');
    case 'boolean':
      return parseBoolean(raw);
    case 'text':
      return typeof raw === 'string' && raw !== '' ? value(raw) : fault(expected('a text', raw));
    case 'choice':
      return parseChoice(setting, raw);
    case 'address':
      return parseAddress(raw);
    case 'clusterAddress':
      return parseClusterAddress(raw);
    case 'list':
      return parseList(raw);
    case 'peers':
      return parsePeers(raw);
  }
}

/** The bound of a number, in base units. */
export function parseBytes(raw: unknown): number | null {
  if (typeof raw !== 'string') return parseWhole(raw);
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(raw.trim());
  const factor = units[match?.[2]?.toLowerCase() ?? '?'];
  if (match === null || factor === undefined) return null;
  const bytes = Number(match[1]) * factor;
  return Number.isSafeInteger(bytes) ? bytes : null;
}

function parseWhole(raw: unknown): number | null {
  const text = typeof raw === 'string' ? raw.trim() : raw;
  const number = typeof text === 'string' && /^[+-]?\d+$/.test(text) ? Number(text) : text;
  return typeof number === 'number' && Number.isSafeInteger(number) ? number : null;
}

function withinBounds(setting: Setting, number: number | null, what: string): Parsed {
  const { min = '0', max } = setting;
  const least = parseBytes(min) ?? 0;
  const most = max === undefined ? Number.MAX_SAFE_INTEGER : (parseBytes(max) ?? 0);
  if (number === null) return fault(`must be ${what}`);
  if (number >= least && number <= most) return value(number);
  const bounds = max === undefined ? `at least ${min}` : `from ${min} to ${max}`;
  return fault(`must be ${bounds}, but is ${String(number)}`);
}

function parseBoolean(raw: unknown): Parsed {
  if (typeof raw === 'boolean') return value(raw);
  const text = typeof raw === 'string' ? raw.trim().toLowerCase() : '';
  if (text === 'true') return value(true);
  if (text === 'false') return value(false);
  return fault(expected('true or false', raw));
}

function parseChoice({ choices = [] }: Setting, raw: unknown): Parsed {
  const text = typeof raw === 'string' || typeof raw === 'number' ? String(raw).toLowerCase() : '';
  return choices.includes(text)
    ? value(text)
    : fault(expected(`one of ${choices.join(', ')}`, raw));
}

const addressForm = 'HOST:PORT, for example 0.0.0.0:9090 or [::1]:9090';

function parseAddress(raw: unknown): Parsed {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^\s:[\]/]+)):(\d{1,5})$/i.exec(
    typeof raw === 'string' ? raw.trim() : '',
  );
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || !(port <= 65535)) return fault(expected(addressForm, raw));
  return value({ host, port });
}

function parseClusterAddress(raw: unknown): Parsed {
  const text = typeof raw === 'string' ? raw.trim() : '';
  const multiaddr = /^\/(ip4|ip6|dns4|dns6|dns)\/([^/]+)\/tcp\/(\d+)$/.exec(text);
  const plain =
    multiaddr === null ? text : `${bracketed(multiaddr[2] ?? '')}:${multiaddr[3] ?? ''}`;
  const parsed = parseAddress(plain);
  if (!parsed.ok) return fault(expected('HOST:PORT or /ip4/A/tcp/P', raw));
  const address = parsed.value as Address;
  return value(address.port === 0 ? { ...address, port: CLUSTER_PORT } : address);
}

function parseList(raw: unknown): Parsed {
  const items = typeof raw === 'string' ? raw.split(',').filter((item) => item.trim() !== '') : raw;
  const numbers = Array.isArray(items) ? items.map(parseWhole) : [null];
  return numbers.every((number) => number !== null && number >= 0)
    ? value(numbers as number[])
    : fault(expected('a list of whole numbers', raw));
}

function parsePeers(raw: unknown): Parsed {
  const items = typeof raw === 'string' ? raw.split(',').filter((item) => item.trim() !== '') : raw;
  const parsed = Array.isArray(items) ? items.map(parseClusterAddress) : [fault('')];
  const addresses = parsed.flatMap((each) => (each.ok ? [each.value as Address] : []));
  return addresses.length === parsed.length
    ? value(addresses)
    : fault(expected('a list of HOST:PORT', raw));
}

function expected(what: string, raw: unknown): string {
  return `must be ${what}, but is ${JSON.stringify(raw)}`;
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

export function formatAddress({ host, port }: Address): string {
  return `${bracketed(host)}:${String(port)}`;
}
