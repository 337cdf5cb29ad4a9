export const ADDRESS_DEFAULT = '127.0.0.1:9090';

/** What the client connects to; `:9091` and `9091` are ports of this machine. */
export function addressOf(given: string | undefined): string {
  if (given === undefined || given === '') return ADDRESS_DEFAULT;
  const [, port] = /^:?(\d+)$/.exec(given) ?? [];
  return port === undefined ? given : `127.0.0.1:${port}`;
}

/** Without user and password. */
export const shownAddress = (address: string): string =>
  address.replace(/^(\w+:\/\/)?[^/]*@/, '$1');
