/**
 * Judges clients by progress instead of total time: who is sending a body or taking an answer has to move a minimum of
 * bytes between two looks, or is cut. A client that waits for the node is never judged, nor one between two requests
 * (the server's keep-alive time-out ends those).
 *
 * Cost: one map entry a connection, one assignment a request; a look costs O(connections) every few seconds.
 * Source: protocol section G "Public HTTP".
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Milliseconds between two looks. */
export const PROGRESS_INTERVAL_MS = 10_000;
/** Bytes that a client has to move meanwhile: 1 KiB/s, below any link that is of use. */
export const PROGRESS_BYTES_MIN = 10 * 1024;

interface Progress {
  req: IncomingMessage | null;
  res: ServerResponse | null;
  /** Bytes moved at the last look; null when the client wasn't awaited then. */
  bytesAtLastLook: number | null;
}

export class ProgressWatchdog {
  readonly #connections = new Map<Socket, Progress>();

  connected(socket: Socket): void {
    this.#connections.set(socket, { req: null, res: null, bytesAtLastLook: null });
    socket.on('close', () => this.#connections.delete(socket));
  }

  requested(req: IncomingMessage, res: ServerResponse): void {
    const progress = this.#connections.get(req.socket);
    if (progress === undefined) return;
    progress.req = req;
    progress.res = res;
  }

  /** Whether the latest request on the socket has been answered, at least in part. */
  isAnswered(socket: Socket): boolean {
    return this.#connections.get(socket)?.res?.headersSent === true;
  }

  /** Cuts every connection whose client was awaited at the last look already and moved too little since. */
  look(): void {
    for (const [socket, progress] of this.#connections) {
      const { req, res, bytesAtLastLook } = progress;
      const isAwaited = req !== null && res !== null && !res.closed && (!req.complete || res.writableEnded);
      const bytes = socket.bytesRead + socket.bytesWritten - socket.writableLength;
      if (isAwaited && bytesAtLastLook !== null && bytes - bytesAtLastLook < PROGRESS_BYTES_MIN) socket.destroy();
      progress.bytesAtLastLook = isAwaited ? bytes : null;
    }
  }
}
