/** From what a caller writes to what the client uses: defaults filled in, ranges checked. */
import { InvalidArgumentError } from './errors.ts';
import type { ClientOptions, ClientStatus, ConnectTarget, Endpoint } from './types.ts';

export const DEFAULT_PORT = 9090;

/** Of one attempt to connect, and of the connection it makes. */
export interface ConnectionOptions {
  readonly tls: boolean | Readonly<Record<string, unknown>>;
  readonly credentials: { readonly username: string; readonly password: string } | null;
  readonly name: string | null;
  readonly connectTimeoutMs: number;
  readonly silenceMs: number;
  readonly pingMs: number;
}

export interface CompiledOptions {
  readonly endpoints: readonly Required<Endpoint>[];
  readonly connection: ConnectionOptions;
  readonly timeoutMs: number;
  readonly callsMax: number;
  readonly callBytesMax: number;
  readonly delayMs: number;
  readonly delayMsMax: number;
  readonly attemptsMax: number;
  readonly onStatus: (status: ClientStatus) => void;
}

interface Target {
  readonly endpoint: Required<Endpoint>;
  readonly username?: string;
  readonly password?: string;
  readonly tls?: true;
}

const MIB = 1024 * 1024;

/** Throws `InvalidArgumentError`. */
export function compileOptions(given: ConnectTarget, options: ClientOptions): CompiledOptions {
  const target = targetOf(given);
  const others = (options.endpoints ?? []).map((endpoint) => targetOf(endpoint).endpoint);
  const { delayMs = 50, delayMsMax = 5000, attemptsMax = Infinity } = options.reconnect ?? {};
  const password = options.password ?? target.password;
  return {
    endpoints: [target.endpoint, ...others],
    connection: {
      tls: options.tls ?? target.tls ?? false,
      credentials:
        password === undefined
          ? null
          : { username: options.username ?? target.username ?? 'default', password },
      name: options.name ?? null,
      connectTimeoutMs: atLeast(1, options.connectTimeoutMs ?? 5000, 'connectTimeoutMs'),
      silenceMs: atLeast(1, options.silenceMs ?? 12_000, 'silenceMs'),
      pingMs: atLeast(1, options.pingMs ?? 10_000, 'pingMs'),
    },
    timeoutMs: atLeast(1, options.timeoutMs ?? 30_000, 'timeoutMs'),
    callsMax: atLeast(1, options.callsMax ?? 10_000, 'callsMax'),
    callBytesMax: atLeast(1, options.callBytesMax ?? 64 * MIB, 'callBytesMax'),
    delayMs: atLeast(1, delayMs, 'reconnect.delayMs'),
    delayMsMax: atLeast(delayMs, delayMsMax, 'reconnect.delayMsMax'),
    attemptsMax: atLeast(1, attemptsMax, 'reconnect.attemptsMax'),
    onStatus: options.onStatus ?? (() => undefined),
  };
}

export function atLeast(min: number, value: number, what: string): number {
  if (typeof value === 'number' && value >= min) return value;
  throw new InvalidArgumentError(`${what} must be ${min} or more, but got ${String(value)}`);
}

const schemes: Readonly<Record<string, 'plain' | 'tls'>> = {
  'sierradb:': 'plain',
  'redis:': 'plain',
  'sierradbs:': 'tls',
  'rediss:': 'tls',
};

function targetOf(given: ConnectTarget): Target {
  if (typeof given !== 'string') return { endpoint: endpointOf(given.host, given.port) };
  // What has no scheme is an address.
  const text = given.includes('://') ? given : `sierradb://${given}`;
  if (!URL.canParse(text)) throw new InvalidArgumentError(`no address: ${shown(given)}`);
  const url = new URL(text);
  const scheme = schemes[url.protocol];
  if (scheme === undefined) {
    throw new InvalidArgumentError(`no scheme of SierraDB: ${url.protocol}//`);
  }
  const host = decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1');
  return {
    endpoint: endpointOf(host, url.port === '' ? undefined : Number(url.port)),
    ...(scheme === 'tls' ? { tls: true } : {}),
    ...(url.username === '' ? {} : { username: decodeURIComponent(url.username) }),
    ...(url.password === '' ? {} : { password: decodeURIComponent(url.password) }),
  };
}

/** Without what may be a password. */
const shown = (text: string): string => text.replace(/\/\/[^@]*@/, '//…@');

function endpointOf(host: string, port: number = DEFAULT_PORT): Required<Endpoint> {
  if (host === '') throw new InvalidArgumentError('an address without a host');
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new InvalidArgumentError(`no port: ${port}`);
  }
  return { host, port };
}

export const endpointText = ({ host, port }: Required<Endpoint>): string =>
  `${host.includes(':') ? `[${host}]` : host}:${port}`;
