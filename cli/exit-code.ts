/** How a command ends, for scripts. */
export const exitCode = {
  done: 0,
  /** The server refused: a version conflict, a rule, an event that is not there. Nothing was done. */
  refused: 1,
  /** The command line cannot be understood. */
  usage: 2,
  /** No connection, or no answer in time. */
  connection: 3,
  /** An append may have been done, or not. */
  unknown: 4,
  /** A checkpoint, standard input or output cannot be read or written. A reader that has gone is none of these. */
  file: 5,
} as const;

/** Of a command that a signal has ended, as shells count: Ctrl-C is 130. */
export const signalCode = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

export const exitCodesText = `Exit code: 0 done, 1 refused by the server, 2 wrong usage, 3 no connection or no answer, 4 an append may
have been done or not, 5 a file, the input or the output failed; 130 after Ctrl-C.`;
