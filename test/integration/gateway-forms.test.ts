import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { INLINE_BODY_BYTES_MAX } from '../../src/domain/limits.ts';
import { FORM_FILES_MAX, FORM_OVERHEAD_BYTES_MAX } from '../../src/gateway/form-parser.ts';
import { SimRandom } from '../../src/sim/sim-random.ts';
import { EdgeFixture, problemOf, type ProblemJson } from './edge-fixture.ts';

/** POST of a form: as browsers and other clients send it, and as nobody should. */
let edge: EdgeFixture;
const MIB = 1024 * 1024;
const BOUNDARY = '----geckoformboundary7f3a';

beforeEach(async () => {
  edge = await EdgeFixture.start();
});

afterEach(() => edge.stop());

const url = (query = ''): string => `http://127.0.0.1:${edge.port}/v1/objects${query}`;
const part = (head: string, body: string | Buffer): Buffer => Buffer.concat([Buffer.from(`--${BOUNDARY}\r\n${head}\r\n\r\n`), Buffer.from(body), Buffer.from('\r\n')]);
const file = (name: string, body: string | Buffer, contentType = 'text/plain'): Buffer => part(`Content-Disposition: form-data; name="files"; filename="${name}"\r\nContent-Type: ${contentType}`, body);
const END = Buffer.from(`--${BOUNDARY}--\r\n`);
const post = (parts: readonly Buffer[], { query = '', headers = {} }: { query?: string; headers?: Record<string, string> } = {}): Promise<Response> =>
  fetch(url(query), { method: 'POST', body: Buffer.concat(parts), headers: { 'content-type': `multipart/form-data; boundary=${BOUNDARY}`, ...headers } });
const body = (name: string): string | undefined => edge.node.stored.get(name)?.body.toString();
type Result = Partial<ProblemJson> & { readonly name: string | null; readonly size?: number; readonly parts?: readonly Result[] };
const results = async (response: Response): Promise<readonly Result[]> => {
  expect(response.status).toBe(200);
  return (await response.json()) as readonly Result[];
};

describe('a form', () => {
  test('as a browser sends it stores each file under its name, with its type, and answers with receipts in order', async () => {
    // A text field, two files of one input, a file input left empty, and the submit button.
    const answer = await results(await post([
      part('Content-Disposition: form-data; name="comment"', 'holiday'),
      file('häuser/dach "rot".jpg'.replaceAll('"', '%22'), 'JPEG', 'image/jpeg'),
      file('empty.txt', ''),
      part('Content-Disposition: form-data; name="other"; filename=""\r\nContent-Type: application/octet-stream', ''),
      part('Content-Disposition: form-data; name="send"', 'Upload'),
      END,
    ]));
    expect(answer).toMatchObject([{ name: 'häuser/dach %22rot%22.jpg', size: 4, durableCopies: 1 }, { name: 'empty.txt', size: 0 }]);
    expect(body('häuser/dach %22rot%22.jpg')).toBe('JPEG');
    expect(edge.node.puts[0]?.contentType).toBe('image/jpeg');
  });

  test('made by fetch, with files of every size, is stored byte by byte, small and large', async () => {
    const sizes = [0, 1, INLINE_BODY_BYTES_MAX, INLINE_BODY_BYTES_MAX + 1, 5 * MIB + 3, 2];
    const form = new FormData();
    for (const size of sizes) form.append('f', new Blob([Buffer.alloc(size, `${size} \r\n--${BOUNDARY}`)]), `of-${size}`);
    const answer = await results(await fetch(url('?prefix=up%2Fload+ed/'), { method: 'POST', body: form }));
    expect(answer.map(({ name, size }) => [name, size])).toEqual(sizes.map((size) => [`up/load ed/of-${size}`, size]));
    for (const size of sizes) expect(edge.node.stored.get(`up/load ed/of-${size}`)?.body.equals(Buffer.alloc(size, `${size} \r\n--${BOUNDARY}`))).toBe(true);
  });

  test('with files that can not be stored has a problem at their place, and the others are stored', async () => {
    const answer = await results(await post([
      file('good', '1'),
      file('a/../b', '2'),
      file('n'.repeat(1025), '3'.repeat(300_000)),
      part('Content-Disposition: form-data; name="f"; filename="x"\r\nContent-Transfer-Encoding: base64', 'NA=='),
      part('Content-Disposition: form-data; name="f"\r\nContent-Type: application/octet-stream', 'nameless'),
      Buffer.from(file('latin\xe4', '5').toString('latin1').replace('\xc3', ''), 'latin1'),
      file('last', '6'),
      END,
    ]));
    expect(answer.map(({ name, code }) => code ?? name)).toEqual(['good', 'DHT_ERR_NAME_DOT_SEGMENT', 'DHT_ERR_NAME_TOO_LONG', 'DHT_ERR_REQUEST_INVALID', 'DHT_ERR_NAME_EMPTY', 'DHT_ERR_NAME_INVALID', 'last']);
    expect(answer[1]).toMatchObject({ name: 'a/../b', status: 400, outcome: 'not-applied', retryable: false });
    expect([...edge.node.stored.keys()]).toEqual(['good', 'last']);
  });

  test('goes on after a file that the ring refused unread', async () => {
    const { putStream } = edge.node.objects;
    edge.node.objects.putStream = (request) => (request.name === 'refused' ? Promise.resolve({ kind: 'not-applied', code: 'DHT_ERR_NO_QUORUM', detail: 'alone' }) : putStream(request));
    const answer = await results(await post([file('refused', Buffer.alloc(MIB)), file('refused', Buffer.alloc(MIB)), file('taken', 'x'), END]));
    expect(answer).toMatchObject([{ code: 'DHT_ERR_NO_QUORUM', outcome: 'not-applied', retryable: true }, { code: 'DHT_ERR_NO_QUORUM' }, { name: 'taken' }]);
  });

  test('has a largest file', async () => {
    await edge.stop();
    edge = await EdgeFixture.start({ objectBytesMax: MIB });
    expect(await results(await post([file('big', Buffer.alloc(MIB + 1)), file('fits', Buffer.alloc(MIB)), END]))).toMatchObject([{ name: 'big', code: 'DHT_ERR_TOO_LARGE' }, { name: 'fits', size: MIB }]);
    expect([...edge.node.stored.keys()]).toEqual(['fits']);
  });

  test('stores one name that comes twice in order: the last stays', async () => {
    await results(await post([file('x', '1'), file('x', '2'.repeat(200_000)), file('x', '3'), END]));
    expect(body('x')).toBe('3');
  });

  test('may have ten thousand files, and not one more', async () => {
    const many = Array.from({ length: FORM_FILES_MAX }, (_, i) => file(`f${i}`, `${i}`));
    expect(await results(await post([...many, END]))).toHaveLength(FORM_FILES_MAX);
    expect(edge.node.stored.size).toBe(FORM_FILES_MAX);
    const response = await post([...many, file('one more', ''), END]);
    const problem = (await response.json()) as Result;
    expect([response.status, problem.code, problem.parts?.length]).toEqual([413, 'DHT_ERR_TOO_LARGE', FORM_FILES_MAX]);
    expect(body('one more')).toBeUndefined();
  });

  test('of fields without end is not read for ever', async () => {
    const field = part('Content-Disposition: form-data; name="a"', 'x');
    expect((await problemOf(await post([...Array.from({ length: 2 * FORM_FILES_MAX + 2 }, () => field), END]))).code).toBe('DHT_ERR_TOO_LARGE');
    const long = part('Content-Disposition: form-data; name="a"', Buffer.alloc(FORM_OVERHEAD_BYTES_MAX + 1));
    expect((await problemOf(await post([long, END]))).code).toBe('DHT_ERR_TOO_LARGE');
    expect((await problemOf(await post([Buffer.alloc(FORM_OVERHEAD_BYTES_MAX + 1), END]))).code).toBe('DHT_ERR_TOO_LARGE');
    expect((await problemOf(await post([file('x', '1'), END, Buffer.alloc(FORM_OVERHEAD_BYTES_MAX + 1)]))).code).toBe('DHT_ERR_TOO_LARGE');
  });

  test('whose file is large needs no memory for it', async () => {
    edge.node.isForgetful = true;
    const size = 100 * MIB;
    const piece = Buffer.alloc(256 * 1024, 'x');
    const atStart = process.memoryUsage.rss();
    let peak = 0;
    async function* pieces(): AsyncGenerator<Buffer> {
      yield file('big', '').subarray(0, -2);
      for (let sent = 0; sent < size; sent += piece.length) {
        await new Promise((resolve) => setImmediate(resolve));
        peak = Math.max(peak, process.memoryUsage.rss());
        yield piece;
      }
      yield Buffer.from('\r\n');
      yield END;
    }
    const response = await fetch(url(), { method: 'POST', body: pieces(), duplex: 'half', headers: { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` } } as unknown as RequestInit);
    expect(await results(response)).toHaveLength(1);
    expect((peak - atStart) / MIB).toBeLessThan(80);
  });
});

describe('what is no form, or not to its end', () => {
  test.each([
    ['another type', { 'content-type': 'application/json' }],
    ['an encoded form', { 'content-type': 'application/x-www-form-urlencoded' }],
    ['no boundary', { 'content-type': 'multipart/form-data' }],
    ['an empty boundary', { 'content-type': 'multipart/form-data; boundary=' }],
    ['a mixed one', { 'content-type': `multipart/mixed; boundary=${BOUNDARY}` }],
    ['a condition', { 'if-none-match': '*' }],
    ['a digest', { 'content-md5': 'AAAA' }],
  ])('%s is refused with 400', async (_what, headers) => {
    expect((await problemOf(await post([file('x', '1'), END], { headers: headers as Record<string, string> }))).status).toBe(400);
    expect(edge.node.streams).toEqual([]);
  });

  test('no file, no body, a wrong prefix and a wrong boundary are refused', async () => {
    expect(await problemOf(await post([END]))).toMatchObject({ status: 400 });
    expect(await problemOf(await post([part('Content-Disposition: form-data; name="a"', 'x'), END]))).toMatchObject({ status: 400, detail: 'The form has no file.' });
    expect(await problemOf(await post([file('x', '1'), END], { query: '?prefix=%ff' }))).toMatchObject({ status: 400 });
    expect(await problemOf(await post([file('x', '1'), END], { headers: { 'content-type': 'multipart/form-data; boundary=other' } }))).toMatchObject({ status: 400 });
    expect((await problemOf(await fetch(url(), { method: 'POST' }))).status).toBe(411);
    expect(edge.node.stored.size).toBe(0);
  });

  test.each([
    ['in a file', [file('b', 'half of it').subarray(0, -6)]],
    ['in a head', [Buffer.from(`--${BOUNDARY}\r\nContent-Dispo`)]],
    ['in a bad head', [part('Content-Disposition form-data', 'x'), END]],
  ])('a form that ends %s is a problem that tells of the files before, and stores no other', async (_where, rest) => {
    const response = await post([file('a', 'whole'), ...rest]);
    expect(response.status).toBe(400);
    const problem = (await response.json()) as Result;
    expect(problem.code).toBe('DHT_ERR_REQUEST_INVALID');
    expect(problem.parts?.[0]).toMatchObject({ name: 'a', size: 5 });
    expect([...edge.node.stored.keys()]).toEqual(['a']);
  });

  test('a file is whole only when a boundary follows', async () => {
    const response = await post([file('a', 'whole?')]);
    expect((await response.json()) as Result).toMatchObject({ status: 400, parts: [{ name: 'a', code: 'DHT_ERR_REQUEST_INVALID', outcome: 'not-applied' }] });
    expect(edge.node.stored.size).toBe(0);
  });

  test('a client that breaks off in a file stores nothing of it', async () => {
    const head = `POST /v1/objects HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=${BOUNDARY}\r\nContent-Length: 9000000\r\n\r\n`;
    await edge.raw(Buffer.concat([Buffer.from(head), file('a', '1'), file('b', Buffer.alloc(MIB)).subarray(0, -100)]), { end: true });
    while (!(await (await edge.admin('/metrics')).text()).includes('dht_gateway_aborted_transfers_total{transfer="upload"} 1'));
    expect([...edge.node.stored.keys()]).toEqual(['a']);
    expect(edge.logLines).toEqual([]);
  });
});

describe('a form in any shape', () => {
  const whole = Buffer.concat([
    Buffer.from('preamble\r\n'),
    file('one', 'first'),
    part('Content-Disposition: form-data; name="comment"', 'holiday'),
    file('two', Buffer.alloc(5000, `\r\n--${BOUNDARY.slice(0, 9)}`), 'image/png'),
    part('Content-Disposition: form-data; name="f"; filename*=UTF-8\'\'%e2%82%ac%20rates', 'third'),
    END,
  ]);
  const head = (length: string): Buffer => Buffer.from(`POST /v1/objects HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary=${BOUNDARY}\r\n${length}\r\n\r\n`);
  const inChunks = (bytes: Buffer, cut: () => number): Buffer => {
    const pieces: Buffer[] = [head('Transfer-Encoding: chunked')];
    for (let at = 0; at < bytes.length; ) {
      const piece = bytes.subarray(at, at + cut());
      pieces.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n'));
      at += piece.length;
    }
    return Buffer.concat([...pieces, Buffer.from('0\r\n\r\n')]);
  };

  test('is read the same however it is cut', async () => {
    const random = new SimRandom('form-1');
    for (let run = 0; run < 60; run++) {
      edge.node.stored.clear();
      const longest = [1, 3, 50, 2000][run % 4] ?? 1;
      const answer = await edge.raw(inChunks(whole, () => 1 + random.below(longest)));
      expect(answer).toMatch(/^HTTP\/1\.1 200 /);
      expect([...edge.node.stored.keys()]).toEqual(['one', 'two', '€ rates']);
      expect(body('two')?.length).toBe(5000);
    }
  });

  test('broken by chance never ends the process, and is always answered or cut', async () => {
    const random = new SimRandom('form-2');
    const special = ['\r', '\n', '\r\n', '-', '--', '"', ';', '=', ':', '\0', '\xff', '\\', `--${BOUNDARY}`, `\r\n--${BOUNDARY}\r\n`, `\r\n--${BOUNDARY}--`, '__proto__: x\r\n', 'filename*=', "x''%", '\r\n\r\n', 'Content-Disposition: form-data; filename="a"\r\n\r\n'];
    const statuses = new Map<string, number>();
    for (let run = 0; run < 1500; run++) {
      let form = Buffer.from(whole);
      for (let change = random.below(4); change >= 0; change--) {
        const at = random.below(form.length);
        const kind = random.below(4);
        const put = Buffer.from(special[random.below(special.length)] ?? '', 'latin1');
        if (kind === 0) form[at] = random.below(256);
        else if (kind === 1) form = Buffer.concat([form.subarray(0, at), put, form.subarray(at)]);
        else if (kind === 2) form = Buffer.concat([form.subarray(0, at), form.subarray(at + random.below(60))]);
        else form = Buffer.concat([form.subarray(0, at), form.subarray(random.below(form.length))]);
        if (form.length === 0) form = Buffer.from('x');
      }
      const isLying = run % 10 === 0;
      const bytes = isLying ? Buffer.concat([head(`Content-Length: ${form.length + 1}`), form]) : inChunks(form, () => 1 + random.below(400));
      const answer = await edge.raw(bytes, { end: isLying });
      const status = answer.slice(9, 12);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      if (!isLying) expect(['200', '400']).toContain(status);
    }
    expect(statuses.get('200')).toBeGreaterThan(100);
    expect(statuses.get('400')).toBeGreaterThan(100);
    expect(edge.logLines).toEqual([]);
    expect((await results(await post([file('after', 'all'), END])))[0]).toMatchObject({ name: 'after' });
    expect(await (await edge.admin('/metrics')).text()).toMatch(/^dht_gateway_inflight_requests 0$/m);
  });
});
