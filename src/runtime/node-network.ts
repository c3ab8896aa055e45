/**
 * The network door on Node: TCP, and TLS 1.3 with a pre-shared key made from the cluster secret. The one secret gives
 * encryption, forward secrecy (an ephemeral key exchange runs beside the key) and mutual authentication, without
 * certificates.
 *
 * Only the two cipher suites with SHA-256 work with such a key. A server could ignore the key and show a certificate
 * instead, so no certificate authority is trusted and a connection whose peer shows one is refused.
 * Without a secret everything is plain TCP (`--insecure-transport`, or a ring on loopback).
 * Source: protocol section G "Auth/encryption"; [RFC8446] "Pre-Shared Key Extension".
 */
import * as net from 'node:net';
import * as tls from 'node:tls';
import { DhtError } from '../domain/error-catalogue.ts';
import type { NodeAddress } from '../domain/node-address.ts';
import type { ByteNetwork, ByteStream, Listener, RefusedStream } from '../ports/byte-network.ts';
import { transportKey, type ClusterSecret, type TransportKey } from './cluster-secret.ts';
import { NameResolver, type LookupResult } from './name-resolver.ts';
import { NodeStream } from './node-stream.ts';

const TLS_OPTIONS = { ciphers: 'TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256', minVersion: 'TLSv1.3', ca: [] as string[] } as const;
/** Milliseconds in which an accepted connection has to prove that it knows the secret. */
const HANDSHAKE_TIMEOUT_MS = 5000;
/** Accepted sockets at most, before anyone is known. */
const SOCKETS_MAX = 8192;

export interface NodeNetworkOptions {
  /** Null: plain TCP. */
  readonly secret: ClusterSecret | null;
  /** Told of each look-up of a name; left out: nobody counts them. */
  readonly onLookup?: (result: LookupResult) => void;
}

export class NodeNetwork implements ByteNetwork {
  readonly #resolver: NameResolver;
  /** What this node dials with; null: plain TCP. */
  readonly #ownKey: TransportKey | null;
  readonly #acceptedKeys: ReadonlyMap<string, Buffer>;

  constructor(options: NodeNetworkOptions) {
    const { secret, onLookup } = options;
    this.#resolver = new NameResolver(onLookup);
    this.#ownKey = secret === null ? null : transportKey(secret.active);
    this.#acceptedKeys = new Map(secret?.accepted.map((accepted) => {
      const { identity, psk } = transportKey(accepted);
      return [identity, psk] as const;
    }));
  }

  async dial(address: NodeAddress, timeoutMs: number): Promise<ByteStream> {
    const startedAt = performance.now();
    const host = await this.#resolver.resolve(address.host);
    try {
      return await this.#connect(host, address.port, timeoutMs - (performance.now() - startedAt));
    } catch (error) {
      this.#resolver.forget(address.host);
      throw error;
    }
  }

  #connect(host: string, port: number, timeoutMs: number): Promise<ByteStream> {
    const key = this.#ownKey;
    return new Promise((resolve, reject) => {
      const socket = key === null
        ? net.connect({ host, port })
        : tls.connect({ ...TLS_OPTIONS, host, port, pskCallback: () => key, checkServerIdentity: () => undefined });
      const timer = setTimeout(() => {
        socket.destroy(Object.assign(new Error(`no connection to ${host}:${port} in time`), { code: 'ETIMEDOUT' }));
      }, Math.max(0, timeoutMs));
      const onError = (error: Error): void => {
        clearTimeout(timer);
        reject(isHandshakeError(error) ? unauthenticated(error) : error);
      };
      socket.once('error', onError);
      socket.once(key === null ? 'connect' : 'secureConnect', () => {
        clearTimeout(timer);
        if (socket instanceof tls.TLSSocket && !isByKey(socket)) {
          socket.destroy();
          reject(new DhtError('DHT_ERR_PEER_UNAUTHENTICATED', 'the peer showed a certificate instead of knowing the secret'));
          return;
        }
        socket.off('error', onError);
        resolve(new NodeStream(socket));
      });
    });
  }

  listen(host: string, port: number, onStream: (stream: ByteStream) => void, onRefused?: (refused: RefusedStream) => void): Promise<Listener> {
    const server = this.#ownKey === null ? net.createServer() : this.#secureServer(onRefused);
    server.on(this.#ownKey === null ? 'connection' : 'secureConnection', (socket: net.Socket) => { onStream(new NodeStream(socket)); });
    server.maxConnections = SOCKETS_MAX;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port }, () => {
        server.off('error', reject);
        // An accept that fails (no file descriptor left) costs this connection, not the node.
        server.on('error', () => {});
        const bound = server.address();
        resolve({
          port: bound !== null && typeof bound === 'object' ? bound.port : port,
          close: () => new Promise((closed) => {
            // The port is free at once; Node's own 'close' would wait for every connection.
            server.close();
            setImmediate(closed);
          }),
        });
      });
    });
  }

  #secureServer(onRefused: ((refused: RefusedStream) => void) | undefined): tls.Server {
    const server = tls.createServer({
      ...TLS_OPTIONS,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      pskCallback: (_socket, identity) => this.#acceptedKeys.get(identity) ?? null,
    });
    server.on('tlsClientError', (error, socket) => {
      if (isHandshakeError(error)) onRefused?.({ remote: `${socket.remoteAddress ?? '?'}:${socket.remotePort ?? 0}`, error: unauthenticated(error) });
    });
    return server;
  }
}

/** Both sides proved that they know the key: TLS treats such a handshake like a resumed session, without certificates. */
function isByKey(socket: tls.TLSSocket): boolean {
  return socket.authorized && socket.isSessionReused() && Object.keys(socket.getPeerCertificate()).length === 0;
}

function isHandshakeError(error: Error): boolean {
  return 'code' in error && typeof error.code === 'string' && /^ERR_SSL_|CERT|VERIFY/.test(error.code);
}

function unauthenticated(error: Error): DhtError {
  return new DhtError('DHT_ERR_PEER_UNAUTHENTICATED', 'the secrets differ, or one side speaks plain TCP', { cause: error });
}
