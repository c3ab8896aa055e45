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
import { ProgressWatchdog, type ProgressOptions } from './progress-watchdog.ts';

export interface HttpServerOptions {
  /** Interface to bind; "::" is all, IPv4 too. */
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly connectionsMax: number;
  readonly progress: ProgressOptions;
  /** What to answer to bytes that are no request. */
  readonly parseErrorAnswer: (parserCode: string) => Buffer;
}

/** Milliseconds for the head of a request. */
const HEADERS_TIMEOUT_MS = 10_000;
/** Milliseconds an idle connection is kept: above the 60 s after which load balancers drop theirs, so they close first. */
const KEEP_ALIVE_TIMEOUT_MS = 75_000;
const CONNECTIONS_CHECK_MS = 5_000;
const HEADER_BYTES_MAX = 16 * 1024;

export class HttpServer {
  readonly #server: http.Server;
  readonly #watchdog: NodeJS.Timeout;
  /** The port really bound. */
  readonly port: number;

  private constructor(server: http.Server, port: number, watchdog: ProgressWatchdog, intervalMs: number) {
    this.#server = server;
    this.port = port;
    this.#watchdog = setInterval(() => watchdog.look(), intervalMs);
  }

  /** Binds and serves; rejects with the platform's error when the port is taken. */
  static start(app: http.RequestListener, options: HttpServerOptions): Promise<HttpServer> {
    const watchdog = new ProgressWatchdog(options.progress);
    const listener: http.RequestListener = (req, res) => {
      watchdog.requested(req, res);
      // While the server closes, each connection ends with its next answer.
      if (!server.listening) res.shouldKeepAlive = false;
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
    server.on('connection', (socket) => watchdog.connected(socket));
    server.on('clientError', (error: NodeJS.ErrnoException, stream) => {
      const socket = stream as Socket;
      if (socket.writable && !watchdog.isAnswered(socket) && error.code !== 'ECONNRESET') socket.write(options.parseErrorAnswer(error.code ?? 'unknown'));
      socket.destroySoon();
    });
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ port: options.port, ...(options.host !== '::' && { host: options.host }) }, () => {
        server.off('error', reject);
        const address = server.address();
        resolve(new HttpServer(server, typeof address === 'object' && address !== null ? address.port : options.port, watchdog, options.progress.intervalMs));
      });
    });
  }

  /** Takes no new connections, ends each old one with its next answer, and cuts what is left after `graceMs`. */
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
