import * as fs from 'node:fs';
import * as http from 'node:http';
import * as net from 'node:net';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { BodySource } from '../../src/domain/object-operation.ts';
import type { FilePlace } from '../../src/ports/local-files.ts';
import type { HttpResponse } from '../../src/ports/http-client.ts';
import { HttpServer } from '../../src/runtime/http-server.ts';
import { JsonLog } from '../../src/runtime/json-log.ts';
import { NodeHttpClient } from '../../src/runtime/node-http-client.ts';
import { NodeLocalFiles } from '../../src/runtime/node-local-files.ts';
import { NodeRandom } from '../../src/runtime/node-random.ts';

describe('local files', () => {
  const before = process.cwd();
  let directory: string;
  const files = new NodeLocalFiles();

  beforeEach(() => {
    directory = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'dht-')));
    fs.mkdirSync(path.join(directory, 'cwd'));
    process.chdir(path.join(directory, 'cwd'));
  });

  afterEach(() => {
    process.chdir(before);
    fs.rmSync(directory, { recursive: true });
  });

  async function save(place: FilePlace, text: string): Promise<string> {
    const part = await place.begin('1-a');
    await part.append(Buffer.from(text));
    await part.finish();
    return place.path;
  }

  test('are saved below the current directory, with their sub-directories and no unfinished file left', async () => {
    expect(await save(await files.placeBelow(['a', 'b', 'c.txt']), 'x')).toBe('a/b/c.txt');
    expect(await save(await files.placeBelow(['a', 'b', 'c.txt']), 'y')).toBe('a/b/c.txt');
    expect(fs.readFileSync('a/b/c.txt', 'utf8')).toBe('y');
    expect(fs.readdirSync('a/b')).toEqual(['c.txt']);
  });

  test('are looked for without making anything', async () => {
    expect(await (await files.placeBelow(['a', 'b', 'c.txt'])).unfinished()).toBeNull();
    expect(fs.readdirSync('.')).toEqual([]);
  });

  test.each([[['..', 'x']], [['.', 'x']], [['a/b']], [['..']], [['']]])('by the segments %j are refused', async (segments) => {
    await expect(files.placeBelow(segments)).rejects.toThrow('use -o FILE');
    expect(fs.readdirSync(directory)).toEqual(['cwd']);
    expect(fs.readdirSync('.')).toEqual([]);
  });

  test('never go through a link out of the current directory, and replace a link instead of following it', async () => {
    fs.symlinkSync('..', 'up');
    for (const segments of [['up', 'x'], ['up', 'new', 'x']]) {
      const place = await files.placeBelow(segments);
      await expect(place.unfinished()).rejects.toThrow('is a link out of');
      await expect(place.begin('1')).rejects.toThrow('is a link out of');
    }
    fs.writeFileSync('../outside', 'kept');
    fs.symlinkSync('../outside', 'link');
    await save(await files.placeBelow(['link']), 'x');
    fs.symlinkSync('../../outside', '.deep.1-a.part');
    await expect((await files.placeBelow(['deep'])).begin('1-a')).rejects.toThrow('is in the way');
    expect(fs.readFileSync('../outside', 'utf8')).toBe('kept');
    expect(fs.readdirSync('..').sort()).toEqual(['cwd', 'outside']);
  });

  test('never take the place of a directory or of what is no file', async () => {
    fs.mkdirSync('d');
    await expect((await files.placeBelow(['d'])).begin('1')).rejects.toThrow('d is a directory');
    await expect(files.place('d')).rejects.toThrow('d is a directory');
    await expect(files.place('/dev/null')).rejects.toThrow('is no regular file');
    expect(fs.readdirSync('.')).toEqual(['d']);
  });

  test('that were not finished are found by the tag of their version, and only that version is gone on with', async () => {
    const place = await files.place('f');
    const part = await place.begin('1-a');
    await part.append(Buffer.from('half'));
    await part.abandon('keep');
    expect(await place.unfinished()).toBe('1-a');
    expect(await (await files.place('f.b')).unfinished()).toBeNull();
    const again = await place.begin('1-a');
    const kept = await again.kept();
    expect([again.size, (await kept.next())?.toString(), await kept.next()]).toEqual([4, 'half', null]);
    await kept.close();
    await again.append(Buffer.from('+rest'));
    await again.finish();
    expect(fs.readFileSync('f', 'utf8')).toBe('half+rest');
    await (await place.begin('1-a')).abandon('keep');
    await (await place.begin('2-b')).abandon('keep');
    expect(fs.readdirSync('.')).toEqual(['.f.2-b.part', 'f']);
    await (await place.begin('2-b')).abandon('drop');
    expect(fs.readdirSync('.')).toEqual(['f']);
  });

  test('of long names, or of versions without a tag, have parts of their own', async () => {
    const long = (end: string): string => `${'ä'.repeat(60)}${end}`;
    const one = await (await files.placeBelow([long('1')])).begin('1-a');
    const two = await (await files.placeBelow([long('2')])).begin('2-b');
    const [free, other] = [await (await files.placeBelow(['x'])).begin('W/"weak"'), await (await files.placeBelow(['x'])).begin('')];
    expect(fs.readdirSync('.')).toHaveLength(4);
    for (const part of [one, two, free, other]) await part.abandon('drop');
    expect(fs.readdirSync('.')).toEqual([]);
  });

  test('are read in pieces, up to the length they had', async () => {
    fs.writeFileSync('f', Buffer.alloc(300_000, 7));
    const file = await files.open('f');
    fs.appendFileSync('f', 'more');
    const sizes = [];
    for (let piece = await file.next(); piece !== null; piece = await file.next()) sizes.push(piece.length);
    await file.close();
    expect([file.size, sizes]).toEqual([300_000, [262_144, 37_856]]);
    await expect(files.open('.')).rejects.toThrow('with -r all files below it are meant');
    await expect(files.open('/dev/null')).rejects.toThrow('is no regular file');
    await expect(files.open('none')).rejects.toThrow('ENOENT');
  });

  test('below a directory are found in order, without what is no file and what links lead to', async () => {
    fs.mkdirSync('d/sub', { recursive: true });
    fs.writeFileSync('d/b', '12');
    fs.writeFileSync('d/sub/a', '1');
    fs.symlinkSync('b', 'd/link');
    fs.symlinkSync('..', 'd/up');
    fs.symlinkSync('nothing', 'd/void');
    const found = [];
    for await (const file of files.walk('d')) found.push('size' in file ? `${file.segments.join('/')} ${file.size}` : `${file.path}: ${file.skipped.slice(0, 6)}`);
    expect(found).toEqual(['b 2', 'link 2', 'sub/a 1', 'd/up: is a l', 'd/void: ENOENT']);
    expect([await files.isDirectory('d'), await files.isDirectory('d/b')]).toEqual([true, false]);
  });

  test('are read up to a bound, and directories not at all', async () => {
    fs.writeFileSync('f', '12345');
    expect((await files.read('f', 5)).toString()).toBe('12345');
    await expect(files.read('f', 4)).rejects.toThrow('f has 5 bytes, at most 4 are taken');
    await expect(files.read('.', 4)).rejects.toThrow('is a directory');
  });

  test('that are secrets are readable by their owner alone, and kept', async () => {
    await files.createSecret('s', 'one');
    await files.createSecret('s', 'two');
    expect(fs.readFileSync('s', 'utf8')).toBe('one');
    expect(fs.statSync('s').mode & 0o777).toBe(0o600);
  });
});

describe('the HTTP client', () => {
  let server: http.Server;
  let url: string;
  let target: string | undefined;
  let answer: (res: http.ServerResponse, req: http.IncomingMessage) => void;

  beforeEach(async () => {
    server = http.createServer((req, res) => {
      target = req.url;
      answer(res, req);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`;
  });

  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  const client = new NodeHttpClient({ bytesMax: 100, expectBytesMin: 1000, expectTimeoutMs: 50 });
  const get = (to: string, idleTimeoutMs = 5000): Promise<unknown> => client.send({ method: 'GET', url: to, headers: {}, body: null, idleTimeoutMs });

  test('sends the path as it is, dot segments and all', async () => {
    answer = (res) => res.setHeader('X-A', 'b').end('hello');
    const response = await client.send({ method: 'GET', url: `${url}/a/../b%2F?c=%2e`, headers: {}, body: null, idleTimeoutMs: 5000 });
    expect(target).toBe('/a/../b%2F?c=%2e');
    expect({ status: response.status, header: response.headers.get('x-a'), body: response.body.toString() }).toEqual({ status: 200, header: 'b', body: 'hello' });
  });

  test('fails on an answer that breaks off, is too long, or does not come', async () => {
    answer = (res) => {
      res.writeHead(200, { 'content-length': '10' });
      res.write('half');
      setImmediate(() => res.destroy());
    };
    await expect(get(url)).rejects.toThrow('no answer from http://127.0.0.1');
    answer = (res) => void res.end(Buffer.alloc(101));
    await expect(get(url)).rejects.toThrow('longer than 100 bytes');
    answer = () => undefined;
    await expect(get(url, 20)).rejects.toThrow('nothing came');
    await expect(get('ftp://x')).rejects.toThrow('no http URL');
  });

  const upload = (bytes: number, source: BodySource['next']): Promise<HttpResponse> =>
    client.upload({ method: 'PUT', url, headers: {}, source: { next: source }, size: bytes, idleTimeoutMs: 5000 });
  const pieces = (count: number, bytes: number): BodySource['next'] => () => Promise.resolve(count-- > 0 ? Buffer.alloc(bytes, 1) : null);

  test.each([[500], [64 * 1024 * 50]])('sends %d bytes as they are read, with their length', async (size) => {
    let received = 0;
    answer = (res, req) => {
      req.on('data', (bytes: Buffer) => (received += bytes.length));
      req.on('end', () => res.end(req.headers['content-length']));
    };
    expect((await upload(size, pieces(50, size / 50))).body.toString()).toBe(String(size));
    expect(received).toBe(size);
  });

  test('asks first whether a large body is taken, and sends none of it when it is not', async () => {
    server.on('checkContinue', (_req, res: http.ServerResponse) => void res.writeHead(503).end('full'));
    let readCount = 0;
    const response = await upload(5000, () => Promise.resolve(readCount++ < 5 ? Buffer.alloc(1000) : null));
    expect([response.status, response.body.toString(), readCount]).toEqual([503, 'full', 0]);
  });

  test('sends a large body to a server that does not know the question', async () => {
    const plain = net.createServer((socket) => {
      let received = '';
      socket.on('data', (bytes) => {
        received += bytes.toString('latin1');
        if (received.endsWith('\x01'.repeat(2000))) socket.end('HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok');
      });
    });
    await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(plain.address() as net.AddressInfo).port}`;
    expect((await upload(2000, pieces(2, 1000))).body.toString()).toBe('ok');
    plain.close();
  });

  test('sends a body once, in order, when the server asks for it only after a while', async () => {
    const received: number[] = [];
    server.on('checkContinue', (req: http.IncomingMessage, res: http.ServerResponse) => {
      setTimeout(() => { res.writeContinue(); }, 150);
      req.on('data', (bytes: Buffer) => received.push(...bytes));
      req.on('end', () => res.end('ok'));
    });
    let next = 0;
    // Still being read when the server asks.
    const slow = async (): Promise<Buffer | null> => {
      const at = next;
      await new Promise((resolve) => { setTimeout(resolve, 10); });
      next = at + 1;
      return at < 40 ? Buffer.alloc(100, at) : null;
    };
    expect((await upload(4000, slow)).body.toString()).toBe('ok');
    expect(received).toEqual(Array.from({ length: 4000 }, (_, i) => Math.floor(i / 100)));
  });

  test('takes an answer that comes before the end of the body, and stops sending', async () => {
    answer = (res) => void res.writeHead(413).end('too large');
    let readCount = 0;
    const endless = (): Promise<Buffer> => {
      readCount += 1;
      return new Promise((resolve) => setImmediate(() => resolve(Buffer.alloc(1000))));
    };
    expect((await upload(10 ** 12, endless)).status).toBe(413);
    const count = readCount;
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(readCount).toBeLessThanOrEqual(count + 1);
  });

  test('fails when the source does, or has another length than announced, and the server sees no whole body', async () => {
    const ends: string[] = [];
    answer = (_res, req) => {
      req.on('end', () => ends.push('end'));
      req.on('error', () => ends.push('broken'));
      req.resume();
    };
    await expect(upload(500, () => Promise.reject(new Error('EIO: read')))).rejects.toThrow('EIO');
    await expect(upload(500, pieces(1, 100))).rejects.toThrow('changed while it was sent');
    await expect(upload(500, pieces(2, 400))).rejects.toThrow('changed while it was sent');
    expect(ends).not.toContain('end');
  });

  test('hands out an answer piece by piece, and tells when it breaks off', async () => {
    const download = () => client.download({ method: 'GET', url, headers: {}, body: null, idleTimeoutMs: 5000 });
    answer = (res) => void res.end(Buffer.alloc(1_000_000));
    const { body } = await download();
    let bytes = 0;
    for (let piece = await body.next(); piece !== null; piece = await body.next()) bytes += piece.length;
    expect(bytes).toBe(1_000_000);
    answer = (res) => {
      res.writeHead(200, { 'content-length': '1000' });
      res.write('half');
      setTimeout(() => res.destroy(), 5);
    };
    const broken = await download();
    expect((await broken.body.next())?.toString()).toBe('half');
    await expect(broken.body.next()).rejects.toThrow('no answer from http://127.0.0.1');
    const cancelled = await download();
    cancelled.body.cancel();
  });

  test('names the reason when nobody listens', async () => {
    const port = (server.address() as net.AddressInfo).port;
    await new Promise((resolve) => server.close(resolve));
    await expect(get(`http://localhost:${port}/`)).rejects.toThrow('ECONNREFUSED');
  });
});

describe('the HTTP server', () => {
  test('that closes answers what is under way, then ends each connection', async () => {
    const asked: http.ServerResponse[] = [];
    const server = await HttpServer.start((_req, res) => void asked.push(res), { host: '127.0.0.1', port: 0, connectionsMax: 10, progress: { intervalMs: 60_000, sentBytesMin: 1, takingLooksMax: 10 }, tls: null, parseErrorAnswer: () => Buffer.alloc(0) });
    const socket = net.connect(server.port, '127.0.0.1');
    let received = '';
    socket.on('data', (chunk: Buffer) => (received += chunk.toString()));
    const ended = new Promise((resolve) => socket.on('close', resolve));
    const until = async (condition: () => boolean): Promise<void> => {
      while (!condition()) await new Promise((resolve) => setImmediate(resolve));
    };
    const request = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';
    socket.write(request);
    await until(() => asked.length === 1);
    const closed = server.close(60_000);
    // The second request is on its way before the first one's answer ends.
    socket.write(request);
    asked[0]?.end('first');
    await until(() => asked.length === 2);
    asked[1]?.end('second');
    await Promise.all([closed, ended]);
    expect(received).toMatch(/keep-alive[^]*first[^]*Connection: close[^]*second/);
  });
});

describe('the log', () => {
  test('is one JSON object a line, or text, without control characters in either', () => {
    const lines: string[] = [];
    const options = { level: 'info', fields: { node: 'a:1' } } as const;
    new JsonLog({ write: (line) => lines.push(line) }, { ...options, format: 'json' }).child({ peer: 'b' }).info('Said', { name: 'x\ny' });
    new JsonLog({ write: (line) => lines.push(line) }, { ...options, format: 'text' }).error('Said', { name: 'x\ny\x1b', count: 2 });
    new JsonLog({ write: (line) => lines.push(line) }, { ...options, format: 'json' }).debug('Not said');
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 'info', message: 'Said', node: 'a:1', peer: 'b', name: 'x\ny' });
    expect(lines[1]).toMatch(/^\S+ ERROR Said node=a:1 name="x\\ny\\u001b" count=2\n$/);
    expect(lines).toHaveLength(2);
  });
});

describe('random', () => {
  test('is uniform enough and within its bounds', () => {
    const random = new NodeRandom();
    const counts = [0, 0, 0, 0];
    for (let i = 0; i < 8000; i++) counts[random.below(4)]!++;
    for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(300);
    for (let i = 0; i < 1000; i++) expect(random.float()).toBeLessThan(1);
    expect(new Set(Array.from({ length: 1000 }, () => random.hex(16))).size).toBe(1000);
    expect(random.hex(10_000)).toHaveLength(20_000);
  });
});
