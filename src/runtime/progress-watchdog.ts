/**
 * Judges clients by progress instead of total time: who is sending a body has to move a minimum of bytes between two
 * looks, who is taking an answer has to move any within a few looks, or is cut. A client that waits for the node is never
 * judged (the node isn't reading its body, or has nothing to give it just now), nor one between two requests (the server's
 * keep-alive time-out ends those).
 *
 * The taking side is judged less often because its progress is seen in lumps: the kernel wakes a writer when a third of
 * the send buffer is free, and a write counts when it has left as a whole.
 * Cost: one map entry and a short list a connection; a look costs O(connections) every few seconds.
 * Source: protocol section G "Public HTTP".
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

export interface ProgressOptions {
  /** Milliseconds between two looks. Lower cuts dead clients earlier, and honest ones on lossy links too. */
  readonly intervalMs: number;
  /** Bytes that a sending client has to move between two looks: 1 KiB/s over 10 s is below any link of use. */
  readonly sentBytesMin: number;
  /** Looks within which a taking client has to move a byte: three of 10 s. */
  readonly takingLooksMax: number;
}

interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
}

interface Progress {
  /** Not ended yet, oldest first, which is the one that is served: a client may send several without waiting. The latest stays. */
  readonly exchanges: Exchange[];
  /** Bytes moved at the last look. */
  bytes: number;
  /** For what the client was awaited at the last look. */
  awaited: Awaited;
  /** Looks since it took a byte. */
  takingLooks: number;
}

type Awaited = 'sending' | 'taking' | 'nothing';

export class ProgressWatchdog {
  readonly #connections = new Map<Socket, Progress>();
  readonly #options: ProgressOptions;

  constructor(options: ProgressOptions) {
    this.#options = options;
  }

  connected(socket: Socket): void {
    this.#connections.set(socket, { exchanges: [], bytes: 0, awaited: 'nothing', takingLooks: 0 });
    socket.on('close', () => this.#connections.delete(socket));
  }

  requested(req: IncomingMessage, res: ServerResponse): void {
    const progress = this.#connections.get(req.socket);
    if (progress === undefined) return;
    progress.exchanges.push({ req, res });
    dropEnded(progress);
  }

  /** Whether the latest request on the socket, or one before it that has not ended, has been answered, at least in part. */
  isAnswered(socket: Socket): boolean {
    return this.#connections.get(socket)?.exchanges.some(({ res }) => res.headersSent) === true;
  }

  /** Cuts every connection whose client was awaited at the last look already and moved too little since. */
  look(): void {
    for (const [socket, progress] of this.#connections) {
      dropEnded(progress);
      const [oldest] = progress.exchanges;
      const awaited = oldest === undefined ? 'nothing' : awaitedFor(oldest);
      const bytes = socket.bytesRead + socket.bytesWritten - socket.writableLength;
      const movedBytes = bytes - progress.bytes;
      const isStill = awaited === progress.awaited;
      progress.takingLooks = awaited === 'taking' && isStill && movedBytes === 0 ? progress.takingLooks + 1 : 0;
      if ((awaited === 'sending' && isStill && movedBytes < this.#options.sentBytesMin) || progress.takingLooks >= this.#options.takingLooksMax) socket.destroy();
      progress.awaited = awaited;
      progress.bytes = bytes;
    }
  }
}

function dropEnded({ exchanges }: Progress): void {
  while (exchanges.length > 1 && exchanges[0]?.res.closed === true) exchanges.shift();
}

function awaitedFor({ req, res }: Exchange): Awaited {
  if (res.closed) return 'nothing';
  if (res.writableEnded || res.writableNeedDrain) return 'taking';
  // Not flowing: the node doesn't read its body just now.
  return req.complete || req.readableFlowing !== true ? 'nothing' : 'sending';
}
