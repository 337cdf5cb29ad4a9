/** What this folder writes to the log: what went wrong and is tried again. */
export interface KubeLog {
  info(facts: object, sentence: string): void;
  warn(facts: object, sentence: string): void;
}

export const silentLog: KubeLog = { info: () => undefined, warn: () => undefined };
