import type { ClientStatus } from '../client/index.ts';

/**
 * Says when a connection is lost, why none can be made, and when there is one again; what works as expected is not worth a note.
 */
export function statusNotes(
  note: (sentence: string) => void,
  isLive: boolean,
): (status: ClientStatus) => void {
  /** Why there is no connection, as it was last said. */
  let reason: string | null = null;
  return (status) => {
    // A subscription has its own connection; the one for commands is made again when a command needs it.
    if (isLive === (status.connection === 'commands')) return;
    switch (status.type) {
      case 'disconnected':
        note(`${status.error.message}; connecting again`);
        reason = status.error.message;
        break;
      case 'reconnecting':
        if (status.error.message !== reason) note(`not yet: ${status.error.message}`);
        reason = status.error.message;
        break;
      case 'connected':
        if (reason !== null) note(`connected again to ${status.endpoint}`);
        reason = null;
        break;
    }
  };
}
