/**
 * A hardened node:http server for one app. Node's own limits don't fit a store: its request time-out ends a long upload
 * after five minutes, its header time-out is a minute, connections are unlimited. So total time is unlimited, and a
 * watchdog judges progress: who is sending a body or taking an answer has to move bytes in every interval.
 *
 * Invariants: every socket has an end (header time-out, keep-alive time-out, watchdog, or close); bytes that are no
 * request are answered once and cut. Source: protocol section G "Public HTTP"; [Node http] "server.headersTimeout".
 */
import * as http from 'node:http';
import type { Socket } from 'node:net';

export interface HttpServerOptions {
  /** Interface to bind; "::" is all, IPv4 too. */
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly connectionsMax: number;
  /** What to answer to bytes that are no request. */
  readonly parseErrorAnswer: (parserCode: string) => Buffer;
}

/** Milliseconds for the head of a request. */
const HEADERS_TIMEOUT_MS = 10_000;
/** Milliseconds an idle connection is kept: above the 60 s after which load balancers drop theirs, so they close first. */
const KEEP_ALIVE_TIMEOUT_MS = 75_000;
const CONNECTIONS_CHECK_MS = 5_000;
const HEADER_BYTES_MAX = 16 * 1024;
/** Milliseconds between two looks of the watchdog, and bytes that a slow client has to move meanwhile: 1 KiB/s. */
const PROGRESS_INTERVAL_MS = 10_000;
const PROGRESS_BYTES_MIN = 10 * 1024;

interface Progress {
  exchange: { readonly req: http.IncomingMessage; readonly res: http.ServerResponse } | null;
  /** Bytes moved at the last look; null when the connection wasn't waiting for the client then. */
  bytesAtLastLook: number | null;
}

export class HttpServer {
  readonly #server: http.Server;
  readonly #connections = new Map<Socket, Progress>();
  readonly #watchdog: NodeJS.Timeout;
  /** The port really bound. */
  readonly port: number;

  private constructor(server: http.Server, port: number, connections: Map<Socket, Progress>) {
    this.#server = server;
    this.port = port;
    this.#connections = connections;
    this.#watchdog = setInterval(() => cutStalled(this.#connections), PROGRESS_INTERVAL_MS);
  }

  /** Binds and serves; rejects with the platform's error when the port is taken. */
  static start(app: http.RequestListener, options: HttpServerOptions): Promise<HttpServer> {
    const connections = new Map<Socket, Progress>();
    const listener: http.RequestListener = (req, res) => {
      const progress = connections.get(req.socket);
      if (progress !== undefined) progress.exchange = { req, res };
      app(req, res);
    };
    const server = http.createServer(
      {
        requestTimeout: 0,
        headersTimeout: HEADERS_TIMEOUT_MS,
        keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
        connectionsCheckingInterval: CONNECTIONS_CHECK_MS,
        maxHeaderSize: HEADER_BYTES_MAX,
        insecureHTTPParser: false,
        noDelay: true,
      },
      listener,
    );
    server.maxConnections = options.connectionsMax;
    // The app asks for the body itself, once it has decided to take it.
    server.on('checkContinue', listener);
    server.on('connection', (socket) => {
      connections.set(socket, { exchange: null, bytesAtLastLook: null });
      socket.on('close', () => connections.delete(socket));
    });
    server.on('clientError', (error: NodeJS.ErrnoException, stream) => {
      const socket = stream as Socket;
      const isAnswered = connections.get(socket)?.exchange?.res.headersSent === true;
      if (socket.writable && !isAnswered && error.code !== 'ECONNRESET') socket.write(options.parseErrorAnswer(error.code ?? 'unknown'));
      socket.destroySoon();
    });
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ port: options.port, ...(options.host !== '::' && { host: options.host }) }, () => {
        server.off('error', reject);
        const address = server.address();
        resolve(new HttpServer(server, typeof address === 'object' && address !== null ? address.port : options.port, connections));
      });
    });
  }

  /** Takes no new connections, lets requests end for up to `graceMs`, then cuts. */
  close(graceMs: number): Promise<void> {
    clearInterval(this.#watchdog);
    return new Promise((resolve) => {
      const cut = setTimeout(() => this.#server.closeAllConnections(), graceMs);
      this.#server.close(() => {
        clearTimeout(cut);
        resolve();
      });
      this.#server.closeIdleConnections();
    });
  }
}

/** Cuts connections whose client neither sent its body nor took its answer since the last look. */
function cutStalled(connections: ReadonlyMap<Socket, Progress>): void {
  for (const [socket, progress] of connections) {
    const { exchange } = progress;
    const isWaiting = exchange !== null && !exchange.res.closed && (!exchange.req.complete || exchange.res.writableEnded);
    const bytes = socket.bytesRead + socket.bytesWritten - socket.writableLength;
    const { bytesAtLastLook } = progress;
    if (isWaiting && bytesAtLastLook !== null && bytes - bytesAtLastLook < PROGRESS_BYTES_MIN) socket.destroy();
    progress.bytesAtLastLook = isWaiting ? bytes : null;
  }
}
