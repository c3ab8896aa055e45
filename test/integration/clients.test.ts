import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as http from 'node:http';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

/** Common clients, as they are, against the program itself: a ring of one node in a process of its own. */
const MAIN = path.resolve(import.meta.dirname, '../../src/main.ts');
const SMALL = Buffer.from('small body\n');
const LARGE = randomBytes(6 * 1024 * 1024 + 11);

let directory: string;
let node: ChildProcess;
let ended: Promise<unknown>;
let origin: string;

const has = (command: string, ...args: string[]): boolean => spawnSync(command, args).status === 0;
const CURL = has('curl', '--version');
const PYTHON = has('python3', '--version');
const REQUESTS = has('python3', '-c', 'import requests');
const WGET = has('wget', '--version');
/** Says why, where a client is missing. */
const withClient = (isThere: boolean, name: string, run: () => void): void => {
  if (isThere) describe(name, run);
  else describe.skip(`${name} (not on this machine)`, run);
};

beforeAll(async () => {
  directory = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'dht-clients-')));
  fs.writeFileSync(path.join(directory, 'small'), SMALL);
  fs.writeFileSync(path.join(directory, 'large'), LARGE);
  const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('DHT_') && name !== 'NODE_OPTIONS'));
  node = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN, 'node', '--port', '0', '--http-port', '0', '--admin-port', '0', '--data-dir', path.join(directory, 'data')], { cwd: directory, env: environment });
  ended = new Promise((resolve) => node.on('close', resolve));
  let log = '';
  await new Promise<void>((resolve, reject) => {
    node.stderr?.on('data', (chunk: Buffer) => {
      log += chunk.toString();
      if (log.includes('"message":"Ready"')) resolve();
    });
    node.on('exit', () => reject(new Error(`the node ended: ${log}`)));
  });
  origin = `http://127.0.0.1:${/"httpPort":(\d+)/.exec(log)?.[1] ?? ''}`;
});

afterAll(async () => {
  node.kill('SIGKILL');
  await ended;
  fs.rmSync(directory, { recursive: true, force: true });
});

const object = (name: string): string => `${origin}/v1/objects/${name}`;
const stored = async (name: string): Promise<Buffer> => Buffer.from(await (await fetch(object(name))).arrayBuffer());

/** Runs a command in the directory and returns what it wrote; it has to end with 0. */
function run(command: string, ...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: directory });
    let output = '';
    let errors = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    child.on('close', (code) => (code === 0 ? resolve(output) : reject(new Error(`${command} ${args.join(' ')} ended with ${String(code)}: ${errors}${output}`))));
  });
}

withClient(CURL, 'curl', () => {
  const curl = (...args: string[]): Promise<string> => run('curl', '--silent', '--show-error', '--fail-with-body', ...args);

  test('puts with -T, from a file and from a pipe, and gets', async () => {
    for (const [file, bytes] of [['small', SMALL], ['large', LARGE]] as const) {
      expect(JSON.parse(await curl('-T', file, object(`curl/${file}`)))).toMatchObject({ name: `curl/${file}`, size: bytes.length });
      await curl(object(`curl/${file}`), '-o', 'got');
      expect(fs.readFileSync(path.join(directory, 'got')).equals(bytes)).toBe(true);
    }
    await run('sh', '-c', `curl -sS -f -T - ${object('curl/piped')} < large`);
    expect((await stored('curl/piped')).equals(LARGE)).toBe(true);
  });

  test('waits for 100 Continue, and sends its body then', async () => {
    const trace = await run('sh', '-c', `curl -sS -v -H 'Expect: 100-continue' -T large ${object('curl/expect')} 2>&1`);
    expect(trace).toContain('HTTP/1.1 100 Continue');
    expect(trace).toContain('HTTP/1.1 201 Created');
  });

  test('gets a range, goes on with a download that broke, and asks whether there is news', async () => {
    await curl('-T', 'large', object('curl/range'));
    await curl('-r', '1000-4999999', object('curl/range'), '-o', 'part');
    expect(fs.readFileSync(path.join(directory, 'part')).equals(LARGE.subarray(1000, 5_000_000))).toBe(true);
    fs.writeFileSync(path.join(directory, 'resumed'), LARGE.subarray(0, 3_333_333));
    await curl('-C', '-', object('curl/range'), '-o', 'resumed');
    expect(fs.readFileSync(path.join(directory, 'resumed')).equals(LARGE)).toBe(true);
    await curl(object('curl/range'), '--etag-save', 'etag', '-o', 'whole');
    expect(await curl(object('curl/range'), '--etag-compare', 'etag', '-o', 'again', '-w', '%{http_code}')).toBe('304');
    expect(await curl('-I', object('curl/range'))).toContain(`content-length: ${LARGE.length}`);
  });

  test('posts files with -F, and lists them', async () => {
    const receipts = JSON.parse(await curl('-F', 'a=@small', '-F', 'comment=none', '-F', 'b=@large;filename=big file', `${origin}/v1/objects?prefix=form/`)) as { name: string; size: number }[];
    expect(receipts.map(({ name, size }) => [name, size])).toEqual([['form/small', SMALL.length], ['form/big file', LARGE.length]]);
    expect((await stored('form/big%20file')).equals(LARGE)).toBe(true);
    const page = JSON.parse(await curl(`${origin}/v1/objects?prefix=form/`)) as { objects: { name: string; size: number }[] };
    expect(page.objects.map(({ name, size }) => [name, size])).toEqual([['form/big file', LARGE.length], ['form/small', SMALL.length]]);
  });

  test('deletes', async () => {
    await curl('-T', 'small', object('curl/gone'));
    await curl('-X', 'DELETE', object('curl/gone'));
    expect((await fetch(object('curl/gone'))).status).toBe(404);
  });
});

withClient(WGET, 'wget', () => {
  test('gets, and goes on with -c', async () => {
    await fetch(object('wget'), { method: 'PUT', body: LARGE });
    fs.writeFileSync(path.join(directory, 'wgot'), LARGE.subarray(0, 1_234_567));
    await run('wget', '-q', '-c', object('wget'), '-O', 'wgot');
    expect(fs.readFileSync(path.join(directory, 'wgot')).equals(LARGE)).toBe(true);
  });
});

withClient(PYTHON, "Python's urllib", () => {
  test('puts, gets, gets a range and deletes', async () => {
    const script = `
import sys, urllib.request as u
url = sys.argv[1]; body = open('large', 'rb').read()
assert u.urlopen(u.Request(url, data=body, method='PUT')).status == 201
answer = u.urlopen(url)
assert answer.read() == body and answer.headers['content-length'] == str(len(body))
part = u.urlopen(u.Request(url, headers={'Range': 'bytes=-100'}))
assert part.status == 206 and part.read() == body[-100:]
assert u.urlopen(u.Request(url, method='HEAD')).headers['etag'] == answer.headers['etag']
assert u.urlopen(u.Request(url, method='DELETE')).status == 204
try: u.urlopen(url); assert False
except u.HTTPError as e: assert e.code == 404
`;
    await run('python3', '-c', script, object('urllib'));
  });
});

withClient(REQUESTS, "Python's requests", () => {
  test('puts a stream, gets a stream, and posts files with names beyond ASCII', async () => {
    const script = `
import sys, requests
origin = sys.argv[1]; url = origin + '/v1/objects/requests'; body = open('large', 'rb').read()
assert requests.put(url, data=open('large', 'rb'), headers={'x-dht-meta-colour': 'blue'}).status_code == 201
def pieces():
    for at in range(0, len(body), 100000): yield body[at:at + 100000]
assert requests.put(url, data=pieces()).json()['size'] == len(body)
with requests.get(url, stream=True) as answer:
    assert b''.join(answer.iter_content(65536)) == body
    etag = answer.headers['etag']
assert requests.get(url, headers={'If-None-Match': etag}).status_code == 304
assert requests.put(url, data=b'x', headers={'If-Match': '"other"'}).status_code == 412
answer = requests.post(origin + '/v1/objects', params={'prefix': 'py/'}, files=[('f', ('naïve €.txt', b'one')), ('f', ('large', open('large', 'rb')))])
assert [part['name'] for part in answer.json()] == ['py/naïve €.txt', 'py/large'], answer.text
assert requests.get(origin + '/v1/objects/py/naïve €.txt').content == b'one'
assert requests.post(origin + '/v1/objects', files={'f': ('../up', b'x')}).json()[0]['code'] == 'DHT_ERR_NAME_DOT_SEGMENT'
`;
    await run('python3', '-c', script, origin);
  });
});

describe('fetch', () => {
  test('puts bytes and streams, gets as a stream, and posts a form', async () => {
    for (const [name, bytes] of [['small', SMALL], ['large', LARGE]] as const) {
      expect((await fetch(object(`fetch/${name}`), { method: 'PUT', body: bytes })).status).toBe(201);
      expect((await stored(`fetch/${name}`)).equals(bytes)).toBe(true);
      const stream = new Blob([new Uint8Array(bytes)]).stream();
      expect((await fetch(object(`fetch/${name}`), { method: 'PUT', body: stream, duplex: 'half' } as RequestInit)).status).toBe(200);
      expect((await stored(`fetch/${name}`)).equals(bytes)).toBe(true);
    }
    const form = new FormData();
    form.append('file', new Blob([new Uint8Array(LARGE)], { type: 'image/png' }), 'picture.png');
    expect((await fetch(`${origin}/v1/objects`, { method: 'POST', body: form })).status).toBe(200);
    const picture = await fetch(object('picture.png'));
    expect(picture.headers.get('content-type')).toBe('image/png');
    expect(Buffer.from(await picture.arrayBuffer()).equals(LARGE)).toBe(true);
  });

  test('that is aborted in its body leaves the old version', async () => {
    await fetch(object('fetch/aborted'), { method: 'PUT', body: SMALL });
    const abort = new AbortController();
    async function* half(): AsyncGenerator<Buffer> {
      yield LARGE.subarray(0, 1_000_000);
      await new Promise((resolve) => setImmediate(resolve));
      abort.abort();
    }
    await expect(fetch(object('fetch/aborted'), { method: 'PUT', body: half(), duplex: 'half', signal: abort.signal } as unknown as RequestInit)).rejects.toThrow();
    expect((await stored('fetch/aborted')).equals(SMALL)).toBe(true);
  });
});

describe('node:http', () => {
  const request = (method: string, name: string, headers: http.OutgoingHttpHeaders, send: (req: http.ClientRequest) => void): Promise<{ status: number; body: Buffer }> =>
    new Promise((resolve, reject) => {
      const req = http.request(object(name), { method, headers, agent }, (res) => {
        const chunks: Buffer[] = [];
        res.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => resolve({ status: res.statusCode ?? 0, body: Buffer.concat(chunks) })).on('error', reject);
      });
      req.on('error', reject);
      send(req);
    });
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  afterAll(() => agent.destroy());

  test('puts and gets many bodies over one kept connection', async () => {
    for (const [index, bytes] of [SMALL, LARGE, Buffer.alloc(0), LARGE, SMALL].entries()) {
      expect((await request('PUT', `http/${index}`, { 'content-length': bytes.length }, (req) => req.end(bytes))).status).toBe(201);
      expect((await request('GET', `http/${index}`, {}, (req) => req.end())).body.equals(bytes)).toBe(true);
      expect((await request('GET', `http/${index}`, { range: 'bytes=5-' }, (req) => req.end())).status).toBe(bytes.length === 0 ? 416 : 206);
    }
  });

  test('waits for 100 Continue', async () => {
    const answer = await request('PUT', 'http/expect', { 'content-length': LARGE.length, expect: '100-continue' }, (req) => {
      req.on('continue', () => req.end(LARGE));
      req.flushHeaders();
    });
    expect(answer.status).toBe(201);
    expect((await stored('http/expect')).equals(LARGE)).toBe(true);
  });
});
