/** The commands that `cli/` has; their names alone, so that none of it is loaded to know them. */
export const clientCommands: readonly string[] = ['append', 'read', 'subscribe', 'info', 'cluster'];
