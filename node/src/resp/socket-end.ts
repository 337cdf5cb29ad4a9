import type { Socket } from 'node:net';

/** How long a socket that we have ended may go on sending before it is cut off. */
const LINGER_MS = 500;

/**
 * Closes our side behind what was written, and the socket when the other side has closed too or a moment has passed.
 * What still arrives is read and dropped: closing a socket with unread input resets the connection, and a reset can take
 * the last replies with it.
 */
export function endSocket(socket: Socket): void {
  socket.end();
  socket.resume();
  socket.once('finish', () => {
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    socket.once('close', () => clearTimeout(timer));
  });
}
