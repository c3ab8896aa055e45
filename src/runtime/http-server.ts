/**
 * A hardened node:http server for one app. Node's own limits don't fit a store: its request time-out ends a long upload
 * after five minutes, its header time-out is a minute, connections are unlimited. So total time is unlimited, and a
 * watchdog judges progress: who is sending a body or taking an answer has to move bytes in every interval.
 *
 * Invariants: every socket has an end (header time-out, keep-alive time-out, watchdog, or close); bytes that are no
 * request are answered once and cut. With a certificate the same server speaks HTTPS; a connection counts from the end of
 * its handshake, which has a time-out of its own.
 * Source: protocol section G "Public HTTP"; [Node http] "server.headersTimeout".
 */
import * as http from 'node:http';
import * as https from 'node:https';
import type { Socket } from 'node:net';
import { createSecureContext } from 'node:tls';
import { DhtError } from '../domain/error-catalogue.ts';
import { ProgressWatchdog, type ProgressOptions } from './progress-watchdog.ts';

/** A certificate with its chain, and its key, as PEM. */
export interface TlsIdentity {
  readonly cert: Buffer;
  readonly key: Buffer;
}

export interface HttpServerOptions {
  /** Interface to bind; "::" is all, IPv4 too. */
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly connectionsMax: number;
  readonly progress: ProgressOptions;
  /** Null: plain HTTP. */
  readonly tls: TlsIdentity | null;
  /** What to answer to bytes that are no request. */
  readonly parseErrorAnswer: (parserCode: string) => Buffer;
}

/** Milliseconds for a TLS handshake. */
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** Milliseconds for the head of a request. */
const HEADERS_TIMEOUT_MS = 10_000;
/** Milliseconds an idle connection is kept: above the 60 s after which load balancers drop theirs, so they close first. */
const KEEP_ALIVE_TIMEOUT_MS = 75_000;
const CONNECTIONS_CHECK_MS = 5_000;
const HEADER_BYTES_MAX = 16 * 1024;

export class HttpServer {
  readonly #server: http.Server;
  readonly #watchdog: NodeJS.Timeout;
  /** Those in a TLS handshake too, which the server itself forgets when it closes. */
  readonly #sockets = new Set<Socket>();
  readonly #state: { isDraining: boolean };
  /** The port really bound. */
  readonly port: number;

  private constructor(server: http.Server, port: number, watchdog: ProgressWatchdog, intervalMs: number, state: { isDraining: boolean }) {
    this.#server = server;
    this.#state = state;
    this.port = port;
    this.#watchdog = setInterval(() => watchdog.look(), intervalMs);
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  /** Binds and serves; rejects with the platform's error when the port is taken, DHT_ERR_SETTING_INVALID for a certificate that can't be used. */
  static start(app: http.RequestListener, options: HttpServerOptions): Promise<HttpServer> {
    const watchdog = new ProgressWatchdog(options.progress);
    const state = { isDraining: false };
    const listener: http.RequestListener = (req, res) => {
      watchdog.requested(req, res);
      // While the server closes, each connection ends with its next answer.
      if (!server.listening || state.isDraining) res.shouldKeepAlive = false;
      app(req, res);
    };
    const server = createServer(options.tls, listener);
    server.maxConnections = options.connectionsMax;
    // The app asks for the body itself, once it has decided to take it.
    server.on('checkContinue', listener);
    server.on(options.tls === null ? 'connection' : 'secureConnection', (socket: Socket) => watchdog.connected(socket));
    server.on('clientError', (error: NodeJS.ErrnoException, stream) => {
      const socket = stream as Socket;
      const { code = 'unknown' } = error;
      // Who failed in the handshake understands no answer.
      const understands = code !== 'ECONNRESET' && !/^ERR_(?:SSL|TLS)_/.test(code);
      if (socket.writable && !watchdog.isAnswered(socket) && understands) socket.write(options.parseErrorAnswer(code));
      socket.destroySoon();
    });
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ port: options.port, ...(options.host !== '::' && { host: options.host }) }, () => {
        server.off('error', reject);
        const address = server.address();
        resolve(new HttpServer(server, typeof address === 'object' && address !== null ? address.port : options.port, watchdog, options.progress.intervalMs, state));
      });
    });
  }

  /** New connections get this certificate. Throws DHT_ERR_SETTING_INVALID for one that can't be used; then the one before stays. */
  renewTls(tls: TlsIdentity): void {
    if (!(this.#server instanceof https.Server)) throw new DhtError('DHT_ERR_SETTING_INVALID', 'a server that began without a certificate takes none');
    checkTls(tls);
    this.#server.setSecureContext(tls);
  }

  /** Goes on serving, but ends each connection with its next answer, so that clients come back somewhere else. */
  drain(): void {
    this.#state.isDraining = true;
    this.#server.closeIdleConnections();
  }

  /** Takes no new connections, ends each old one with its next answer, and cuts what is left after `graceMs`. */
  close(graceMs: number): Promise<void> {
    clearInterval(this.#watchdog);
    return new Promise((resolve) => {
      const cut = setTimeout(() => this.#sockets.forEach((socket) => socket.destroy()), graceMs);
      this.#server.close(() => {
        clearTimeout(cut);
        resolve();
      });
      this.#server.closeIdleConnections();
    });
  }
}

function createServer(tls: TlsIdentity | null, listener: http.RequestListener): http.Server {
  const options: http.ServerOptions = {
    requestTimeout: 0,
    headersTimeout: HEADERS_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    connectionsCheckingInterval: CONNECTIONS_CHECK_MS,
    maxHeaderSize: HEADER_BYTES_MAX,
    insecureHTTPParser: false,
    noDelay: true,
  };
  if (tls === null) return http.createServer(options, listener);
  checkTls(tls);
  return https.createServer({ ...options, ...tls, handshakeTimeout: HANDSHAKE_TIMEOUT_MS }, listener);
}

function checkTls(tls: TlsIdentity): void {
  try {
    createSecureContext(tls);
  } catch (error) {
    throw new DhtError('DHT_ERR_SETTING_INVALID', `the TLS certificate and key can not be used: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}
