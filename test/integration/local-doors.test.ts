import * as fs from 'node:fs';
import * as http from 'node:http';
import * as net from 'node:net';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
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

  test('are saved below the current directory, with their sub-directories and no temporary file left', async () => {
    expect(await files.saveBelow(['a', 'b', 'c.txt'], Buffer.from('x'))).toBe('a/b/c.txt');
    expect(await files.saveBelow(['a', 'b', 'c.txt'], Buffer.from('y'))).toBe('a/b/c.txt');
    expect(fs.readFileSync('a/b/c.txt', 'utf8')).toBe('y');
    expect(fs.readdirSync('a/b')).toEqual(['c.txt']);
  });

  test.each([[['..', 'x']], [['.', 'x']], [['a/b']], [['..']], [['']]])('by the segments %j are refused', async (segments) => {
    await expect(files.saveBelow(segments, Buffer.from('x'))).rejects.toThrow('use -o FILE');
    expect(fs.readdirSync(directory)).toEqual(['cwd']);
    expect(fs.readdirSync('.')).toEqual([]);
  });

  test('never go through a link out of the current directory, and replace a link instead of following it', async () => {
    fs.symlinkSync('..', 'up');
    await expect(files.saveBelow(['up', 'x'], Buffer.from('x'))).rejects.toThrow('is a link out of');
    await expect(files.saveBelow(['up', 'new', 'x'], Buffer.from('x'))).rejects.toThrow('is a link out of');
    fs.writeFileSync('../outside', 'kept');
    fs.symlinkSync('../outside', 'link');
    await files.saveBelow(['link'], Buffer.from('x'));
    expect(fs.readFileSync('../outside', 'utf8')).toBe('kept');
    expect(fs.readdirSync('..').sort()).toEqual(['cwd', 'outside']);
  });

  test('leave nothing behind when they can not be saved', async () => {
    fs.mkdirSync('d');
    await expect(files.saveBelow(['d'], Buffer.from('x'))).rejects.toThrow();
    expect(fs.readdirSync('.')).toEqual(['d']);
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
  let answer: (res: http.ServerResponse) => void;

  beforeEach(async () => {
    server = http.createServer((req, res) => {
      target = req.url;
      answer(res);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`;
  });

  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  const client = new NodeHttpClient({ bytesMax: 100 });
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
