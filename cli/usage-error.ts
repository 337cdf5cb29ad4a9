/** The command line, or a file that it names, cannot be understood: nothing was sent. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
