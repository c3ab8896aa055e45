/**
 * GET /v1/events: what happens to the ring, as server-sent events. A client that comes back with Last-Event-ID gets what it
 * missed, as far as it is kept; a comment from time to time shows both sides that the other is there.
 *
 * Bounds: CLIENTS_MAX streams; a client that lets BUFFER_BYTES_MAX pile up is cut, and comes back by itself.
 * Source: [HTML] "Server-sent events".
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { NodeService, RingEvent } from '../node/node-service.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import { answerProblem } from './plain-app.ts';

/** Streams at a time: people and a few programs. */
const CLIENTS_MAX = 32;
/** Bytes that wait for one client: some hundred events. */
const BUFFER_BYTES_MAX = 64 * 1024;
/** Milliseconds between comments: below the 30 to 60 s after which proxies end idle connections. */
const HEARTBEAT_MS = 15_000;
/** Milliseconds until a client that was cut comes back. */
const RETRY_MS = 2_000;
const LAST_ID = /^[0-9-]{1,40}$/;

export class EventStreams {
  readonly #clock: Clock;
  #clients = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  serve(node: NodeService, req: IncomingMessage, res: ServerResponse, requestId: string): void {
    if (this.#clients >= CLIENTS_MAX) return answerProblem(req, res, 'DHT_ERR_OVERLOADED', `${CLIENTS_MAX} clients follow the events already.`, requestId);
    res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', 'x-accel-buffering': 'no', 'x-request-id': requestId });
    if (req.method === 'HEAD') {
      res.end();
      return;
    }
    this.#clients += 1;
    const write = (text: string): void => {
      res.write(text);
      if (res.writableLength > BUFFER_BYTES_MAX) res.destroy();
    };
    write(`retry: ${RETRY_MS}\n\n`);
    const lastId = req.headers['last-event-id'];
    for (const event of node.events.after(typeof lastId === 'string' && LAST_ID.test(lastId) ? lastId : null)) write(eventText(event));
    const unsubscribe = node.events.subscribe((event) => { write(eventText(event)); });
    let timer: Timer | null = null;
    const beat = (): void => {
      timer = this.#clock.after(HEARTBEAT_MS, beat);
      write(': here\n\n');
    };
    timer = this.#clock.after(HEARTBEAT_MS, beat);
    res.on('close', () => {
      unsubscribe();
      timer?.cancel();
      this.#clients -= 1;
    });
  }
}

function eventText(event: RingEvent): string {
  return `id: ${event.id}\nevent: ${event.kind}\ndata: ${JSON.stringify(event)}\n\n`;
}
