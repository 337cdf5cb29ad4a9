/** Large answers of another member, put into memory that the caller has: none that the collector would have to look after is drawn for the whole. */
import type { Dispatcher } from 'undici';

import { clusterHeaders } from '../../../common/cluster-contract.ts';

/** Where an answer goes. */
export interface Landing {
  readonly buffer: Buffer;
  /** Set by the answer: whoever sends it has clients to serve. */
  isBusy: boolean;
}

export interface RangedAnswer {
  readonly status: number;
  /** A part of the landing. */
  readonly bytes: Buffer;
}

export interface RangedRequest {
  readonly path: string;
  /** Names and values by turns. */
  readonly headers: string[];
}

/**
 * A GET whose answer says its length. Rejects with the connection's error, the signal's reason, or for an answer that does not fit.
 * Once that is settled nothing lands any more.
 */
export async function readInto(
  dispatcher: Dispatcher,
  request: RangedRequest,
  landing: Landing,
  signal: AbortSignal,
): Promise<RangedAnswer> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<RangedAnswer>();
  let controller: Dispatcher.DispatchController | null = null;
  let [status, at] = [0, 0];
  const giveUp = (): void => {
    reject(signal.reason as Error);
    controller?.abort(signal.reason as Error);
  };
  signal.addEventListener('abort', giveUp, { once: true });
  dispatcher.dispatch(
    { ...request, method: 'GET' },
    {
      onRequestStart: (started) => {
        controller = started;
        if (signal.aborted) giveUp();
      },
      onResponseStart: (started, code, headers) => {
        const length = Number(headers['content-length'] ?? Infinity);
        if (length > landing.buffer.length) {
          started.abort(new Error('an answer without a length, or longer than what was asked for'));
          return;
        }
        status = code;
        landing.isBusy = headers[clusterHeaders.busy] === '1';
      },
      onResponseData: (_started, chunk) => {
        if (signal.aborted) return;
        at += chunk.copy(landing.buffer, at);
      },
      onResponseEnd: () => {
        resolve({ status, bytes: landing.buffer.subarray(0, at) });
      },
      onResponseError: (_started, error) => {
        reject(error);
      },
    },
  );
  try {
    return await promise;
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}
