/** Peers over real TCP and TLS: who knows the secret gets in, who doesn't gets nothing, and the wire shows nothing. */
import { afterEach, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import * as net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as tls from 'node:tls';
import { CLUSTER_SECRET_BYTES_MIN } from '../../src/domain/limits.ts';
import type { ByteStream, Listener, RefusedStream } from '../../src/ports/byte-network.ts';
import { adminToken, deriveSecret, parseClusterSecret, transportKey } from '../../src/runtime/cluster-secret.ts';
import { NodeNetwork } from '../../src/runtime/node-network.ts';

const SECRET = 'the secret of this cluster, 32 bytes and more';
const OTHER = 'quite another secret, also long enough for us';
const CIPHERS = 'TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const network = (text: string | null): NodeNetwork => new NodeNetwork({ secret: text === null ? null : parseClusterSecret(text) });

async function echoServer(text: string | null): Promise<{ readonly port: number; readonly refused: RefusedStream[]; readonly streams: ByteStream[] }> {
  const refused: RefusedStream[] = [];
  const streams: ByteStream[] = [];
  const listener: Listener = await network(text).listen('127.0.0.1', 0, (stream) => {
    streams.push(stream);
    stream.start({ onBytes: (bytes) => { stream.write([bytes]); }, onDrain: () => {}, onClose: () => {} });
  }, (turnedAway) => { refused.push(turnedAway); });
  closers.push(() => { for (const stream of streams) stream.destroy(); return listener.close(); });
  return { port: listener.port, refused, streams };
}

async function echoed(stream: ByteStream, text: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const pieces: Buffer[] = [];
  stream.start({
    onBytes: (bytes) => { pieces.push(bytes); if (Buffer.concat(pieces).length >= text.length) resolve(Buffer.concat(pieces).toString()); },
    onDrain: () => {},
    onClose: () => { resolve('closed'); },
  });
  stream.write([Buffer.from(text)]);
  const answer = await promise;
  stream.destroy();
  return answer;
}

/** A relay that remembers every byte it passes on. */
async function wiretap(port: number): Promise<{ readonly port: number; readonly bytes: () => Buffer }> {
  const seen: Buffer[] = [];
  const server = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1');
    near.on('data', (bytes: Buffer) => { seen.push(bytes); far.write(bytes); });
    far.on('data', (bytes: Buffer) => { seen.push(bytes); near.write(bytes); });
    for (const [one, other] of [[near, far], [far, near]] as const) {
      one.on('close', () => other.destroy());
      one.on('error', () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => { server.close(); });
  return { port: (server.address() as net.AddressInfo).port, bytes: () => Buffer.concat(seen) };
}

describe('TLS with the cluster secret', () => {
  test('lets in who knows it, and the wire shows nothing of what is said', async () => {
    const { port } = await echoServer(SECRET);
    const tap = await wiretap(port);
    expect(await echoed(await network(SECRET).dial({ host: '127.0.0.1', port: tap.port }, 2000), 'a word to hide')).toBe('a word to hide');
    expect(tap.bytes().length).toBeGreaterThan(100);
    expect(tap.bytes().includes('a word to hide')).toBe(false);
    const plain = await echoServer(null);
    const plainTap = await wiretap(plain.port);
    await echoed(await network(null).dial({ host: '127.0.0.1', port: plainTap.port }, 2000), 'a word to hide');
    expect(plainTap.bytes().includes('a word to hide')).toBe(true);
  });

  test('turns away another secret, on both sides', async () => {
    const { port, refused, streams } = await echoServer(SECRET);
    await expect(network(OTHER).dial({ host: '127.0.0.1', port }, 2000)).rejects.toMatchObject({ code: 'DHT_ERR_PEER_UNAUTHENTICATED' });
    await until(() => refused.length === 1);
    expect(refused[0]?.error.code).toBe('DHT_ERR_PEER_UNAUTHENTICATED');
    expect(streams).toEqual([]);
  });

  test('turns away a wrong key under the right name', async () => {
    const { port, refused, streams } = await echoServer(SECRET);
    const { identity } = transportKey(Buffer.from(SECRET));
    const error = await new Promise<Error>((resolve) => {
      tls.connect({ host: '127.0.0.1', port, ciphers: CIPHERS, minVersion: 'TLSv1.3', pskCallback: () => ({ identity, psk: Buffer.alloc(32, 1) }), checkServerIdentity: () => undefined })
        .once('error', resolve);
    });
    expect(error).toMatchObject({ code: 'ERR_SSL_TLSV1_ALERT_DECRYPT_ERROR' });
    await until(() => refused.length === 1);
    expect(streams).toEqual([]);
  });

  test('turns away plain bytes', async () => {
    const { port, refused, streams } = await echoServer(SECRET);
    expect(await echoed(await network(null).dial({ host: '127.0.0.1', port }, 2000), 'GET / HTTP/1.1\r\n\r\n')).not.toContain('GET');
    await until(() => refused.length === 1);
    expect(streams).toEqual([]);
  });

  test('does not believe a server that shows a certificate instead', async () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'dht-tls-'));
    closers.push(() => { rmSync(directory, { recursive: true }); });
    const [keyFile, certFile] = [path.join(directory, 'key'), path.join(directory, 'cert')];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1', '-subj', '/CN=localhost', '-keyout', keyFile, '-out', certFile], { stdio: 'ignore' });
    const server = tls.createServer({ key: readFileSync(keyFile), cert: readFileSync(certFile), minVersion: 'TLSv1.3' }, (socket) => { socket.on('error', () => {}); });
    server.on('tlsClientError', () => {});
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closers.push(() => { server.close(); });
    const { port } = server.address() as net.AddressInfo;
    await expect(network(SECRET).dial({ host: '127.0.0.1', port }, 2000)).rejects.toMatchObject({ code: 'DHT_ERR_PEER_UNAUTHENTICATED' });
  });

  test('lets old and new secret in during a rotation, and the old one no longer afterwards', async () => {
    const { port } = await echoServer(`${SECRET}\n${OTHER}\n`);
    for (const text of [SECRET, OTHER, `${OTHER}\n${SECRET}`]) {
      expect(await echoed(await network(text).dial({ host: '127.0.0.1', port }, 2000), 'hello')).toBe('hello');
    }
    const { port: later } = await echoServer(OTHER);
    await expect(network(`${SECRET}\n${OTHER}`).dial({ host: '127.0.0.1', port: later }, 2000)).rejects.toMatchObject({ code: 'DHT_ERR_PEER_UNAUTHENTICATED' });
  });
});

describe('a dial', () => {
  test('finds localhost by name', async () => {
    const { port } = await echoServer(SECRET);
    expect(await echoed(await network(SECRET).dial({ host: 'localhost', port }, 2000), 'hello')).toBe('hello');
  });

  test('to a name that nobody knows rejects with the platform\'s error', async () => {
    await expect(network(SECRET).dial({ host: 'no-such-host.invalid', port: 1 }, 2000)).rejects.toMatchObject({ code: expect.stringMatching(/^E/) });
  });

  test('ends in time when nothing answers', async () => {
    // A server that accepts and says nothing.
    const server = net.createServer(() => {});
    const sockets: net.Socket[] = [];
    server.on('connection', (socket) => { sockets.push(socket); });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closers.push(() => { for (const socket of sockets) socket.destroy(); server.close(); });
    const { port } = server.address() as net.AddressInfo;
    await expect(network(SECRET).dial({ host: '127.0.0.1', port }, 100)).rejects.toMatchObject({ code: 'ETIMEDOUT' });
  });
});

describe('the cluster secret', () => {
  test.each(['', '\n', 'x'.repeat(CLUSTER_SECRET_BYTES_MIN - 1), `${SECRET}\nshort`, `${SECRET}\n${OTHER}\n${SECRET}`])('is refused when it is %p', (text) => {
    expect(() => parseClusterSecret(text)).toThrow(expect.objectContaining({ code: 'DHT_ERR_SETTING_INVALID' }));
  });

  test('gives each purpose a key of its own, the same on every node', () => {
    const secret = Buffer.from(SECRET);
    expect(deriveSecret(secret, 'admin')).toEqual(deriveSecret(Buffer.from(SECRET), 'admin'));
    expect(deriveSecret(secret, 'admin')).not.toEqual(deriveSecret(secret, 'transport'));
    expect(adminToken(parseClusterSecret(`${SECRET}\n`))).toBe(deriveSecret(secret, 'admin').toString('hex'));
    expect(adminToken(parseClusterSecret(OTHER))).not.toBe(adminToken(parseClusterSecret(SECRET)));
  });
});

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 400 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(condition()).toBe(true);
}
