/**
 * What every client library is asked to do with a running node, and how a driver says how it went.
 *
 * A driver is a small program in the library's language: `driver PORT [VARIANT]`. It connects with the library's defaults
 * and writes JSON lines: one `{"version": …, "protocol": 2 | 3}` and one `{"check": …, "outcome": …}` for each check, in this
 * order. The node behind the port is new and empty.
 */

export const commandChecks = [
  /** The handshake with the library's defaults; PING and INFO. */
  'connect',
  /** EAPPEND with every option; the retry by EVENT_ID has the same answer. */
  'append',
  /** EMAPPEND: two streams, consecutive sequences. */
  'transaction',
  /** EGET, ESCAN, EPSCAN, ESVER, EPSEQ: maps, lists, booleans, and null for what is not there. */
  'read',
  /** Refusals arrive as the library's errors with their code, and the connection goes on. */
  'errors',
  /** Every byte, CR LF and NUL among them, in payload and metadata. */
  'binary',
  /** A payload of 1 MiB. */
  'large',
  /** 200 appends without waiting take effect in order. */
  'pipeline',
] as const;

export const subscriptionChecks = [
  /** ESUB FROM 0: three events of history, then two live ones, then EPSUB. */
  'subscribe',
  /** WINDOW 2: two events, then two more for each EACK. */
  'window',
] as const;

export type Check = (typeof commandChecks)[number] | (typeof subscriptionChecks)[number];

export const checks: readonly Check[] = [...commandChecks, ...subscriptionChecks];

/**
 * - `failed`: the node or the library did not do what is promised.
 * - `absent`: the library has no door for it; `reason` says so, in the words of the README's table. The driver has checked
 *   that trying it does no harm.
 */
export type Outcome =
  | { readonly outcome: 'passed' }
  | { readonly outcome: 'failed'; readonly message: string }
  | { readonly outcome: 'absent'; readonly reason: string };

export interface Identity {
  /** The library's own version. */
  readonly version: string;
  /** RESP version in which replies arrived. */
  readonly protocol: 2 | 3;
}

/** One line of a driver. */
export type Line = Identity | ({ readonly check: Check } & Outcome);
