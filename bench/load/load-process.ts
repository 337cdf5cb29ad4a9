import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';

import type { JobResults, JobSpecs } from './jobs.ts';
import type { LoadResult, LoadSpec } from './load-run.ts';

type Answer<Kind extends keyof JobSpecs> =
  { readonly result: JobResults[Kind] } | { readonly error: string };

/** The load generator in a process of its own, driven from here. One run at a time. */
export class LoadProcess implements AsyncDisposable {
  readonly #child: ChildProcess = fork(new URL('main.ts', import.meta.url), { stdio: 'inherit' });

  /** Rejects when the run fails, or when any reply was an error: such a figure would measure refusals. */
  async run(spec: LoadSpec): Promise<LoadResult> {
    const result = await this.do('requests', spec);
    if (result.errors > 0) {
      const { errors, firstError } = result;
      throw new Error(`${String(errors)} error replies, the first: ${String(firstError)}`);
    }
    return result;
  }

  /** Rejects when the job fails. */
  async do<Kind extends keyof JobSpecs>(
    kind: Kind,
    spec: JobSpecs[Kind],
  ): Promise<JobResults[Kind]> {
    const exit = new AbortController();
    const exited = once(this.#child, 'exit', { signal: exit.signal }).then(() => {
      throw new Error('the load generator ended');
    });
    exited.catch(() => undefined);
    const message = once(this.#child, 'message', { signal: exit.signal });
    this.#child.send({ kind, spec });
    try {
      const [answer] = (await Promise.race([message, exited])) as [Answer<Kind>];
      if ('error' in answer) throw new Error(answer.error);
      return answer.result;
    } finally {
      exit.abort();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || !this.#child.connected) return;
    const exited = once(this.#child, 'exit');
    this.#child.disconnect();
    await exited;
  }
}
