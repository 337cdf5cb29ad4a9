import type { ClientStatus } from '../client/index.ts';

/**
 * Says when a connection is lost, why none can be made, and when there is one again; what works as expected is not worth a note.
 */
export function statusNotes(
  note: (sentence: string) => void,
  isLive: boolean,
): (status: ClientStatus) => void {
  let lastSentence: string | null = null;
  const once = (sentence: string): void => {
    if (sentence !== lastSentence) note(sentence);
    lastSentence = sentence;
  };
  return (status) => {
    // A subscription has its own connection; the one for commands is made again when a command needs it.
    if (isLive === (status.connection === 'commands')) return;
    switch (status.type) {
      case 'disconnected':
        once(`connection lost: ${status.error.message}; connecting again`);
        break;
      case 'reconnecting':
        once(`connecting again: ${status.error.message}`);
        break;
      case 'connected':
        if (lastSentence !== null) note(`connected again to ${status.endpoint}`);
        lastSentence = null;
        break;
    }
  };
}
