/**
 * The description of the HTTP interface, served on both ports, each its own routes. Written by hand, held against the
 * routes by a test. Source: [OpenAPI 3.1].
 */
import { ERRORS } from '../domain/error-catalogue.ts';
import { FILES_PAGE_MAX, LIST_PAGE_MAX, NAME_BYTES_MAX, OBJECT_BYTES_MAX } from '../domain/limits.ts';
import { RING_EVENT_KINDS } from '../node/node-service.ts';

export type Port = 'gateway' | 'admin';

export interface OpenApiDocument {
  readonly openapi: '3.1.0';
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  /** Path, then method in lower case. */
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: unknown;
}

export interface Operation {
  readonly summary: string;
  readonly description?: string;
  readonly parameters?: readonly unknown[];
  readonly requestBody?: unknown;
  readonly responses: Readonly<Record<string, unknown>>;
  readonly security?: readonly unknown[];
}

const text = { type: 'string' } as const;
const integer = { type: 'integer' } as const;
const schema = (name: string): unknown => ({ $ref: `#/components/schemas/${name}` });
const json = (of: unknown): unknown => ({ 'application/json': { schema: of } });
const answer = (description: string, content?: unknown): unknown => (content === undefined ? { description } : { description, content });
const problem = (description: string): unknown => answer(description, { 'application/problem+json': { schema: schema('Problem') } });
const query = (name: string, of: unknown, description: string, required = false): unknown => ({ name, in: 'query', required, schema: of, description });
const header = (name: string, description: string): unknown => ({ name, in: 'header', required: false, schema: text, description });

const NAME = { name: 'name', in: 'path', required: true, schema: { type: 'string', minLength: 1 }, description: `1 to ${NAME_BYTES_MAX} bytes of UTF-8 without NUL, percent-encoded once. Slashes may stand as they are; "." and ".." segments are refused.` };
const CONSISTENCY = query('consistency', { enum: ['linearizable', 'one'] }, 'one: the nearest copy, which may be stale; the answer then has x-dht-consistency: one.');
const IF_MATCH = header('If-Match', 'Only if the object has one of these ETags; "*": only if it exists.');
const IDEMPOTENCY_KEY = header('Idempotency-Key', 'Makes a retry of this request safe while fewer than 8 other writes of the name came between, and its deletion was not yet forgotten.');

const READ_CONDITIONS = [IF_MATCH, header('If-None-Match', '304 when the object has one of these ETags.'), header('If-Modified-Since', '304 when it is no newer; counts only without If-None-Match.'), header('If-Unmodified-Since', 'Counts only without If-Match.')];
const RANGE = [header('Range', 'bytes=a-b, bytes=a- or bytes=-n; several ranges are answered with the whole.'), header('If-Range', 'An ETag: the range only of this version, else the whole. A date never holds, for two versions may share a second.')];
const READ_RESPONSES = { 304: answer('Not modified.'), 400: problem('The name or a parameter is wrong.'), 412: problem('The condition does not hold.'), 404: problem('There is no such object.'), 503: problem('Too few replicas answered, or the node is not ready or overloaded.') };
const BYTES = { '*/*': { schema: { type: 'string', format: 'binary' } } };
const OBJECT = answer('The object: headers ETag, x-dht-version, Last-Modified, Repr-Digest, Accept-Ranges, Content-Type, x-dht-meta-*.', BYTES);
const RECEIPT = json(schema('Receipt'));

const OPEN_API: Operation = { summary: 'This description', responses: { 200: answer('OpenAPI 3.1', json({ type: 'object' })) } };

const OBJECT_PATHS: OpenApiDocument['paths'] = {
  '/v1/objects': {
    get: {
      summary: 'List objects over the whole ring, in the byte order of their names',
      parameters: [
        query('prefix', text, 'Only names that begin with this.'),
        query('delimiter', text, 'Names that have it behind the prefix are shown as one common prefix.'),
        query('limit', { type: 'integer', minimum: 1, maximum: LIST_PAGE_MAX }, 'Objects and common prefixes in a page.'),
        query('cursor', text, 'Where the page before ended.'),
      ],
      responses: { 200: answer('A page; with cursor while there is more.', json(schema('Listing'))), 400: problem('A parameter is wrong.'), 503: problem('Too few replicas answered, or the node is not ready or overloaded.') },
    },
    post: {
      summary: 'Store each file of a form under its file name',
      parameters: [query('prefix', text, 'Put before each file name.')],
      requestBody: { required: true, content: { 'multipart/form-data': { schema: { type: 'object', additionalProperties: { type: 'string', format: 'binary' } } } } },
      responses: {
        200: answer('A receipt or problem for each file, in order.', json({ type: 'array', items: { anyOf: [schema('Receipt'), schema('Problem')] } })),
        400: problem('No form, or not to its end; parts tells what became of the files before.'),
        411: problem('The request has no body.'),
        413: problem('Too many files, or too much beside them; parts tells what became of the files before.'),
        503: problem('The node is not ready or overloaded.'),
      },
    },
  },
  '/v1/objects/{name}': {
    get: {
      summary: 'Fetch an object, or a range of it',
      parameters: [NAME, CONSISTENCY, ...READ_CONDITIONS, ...RANGE],
      responses: { 200: OBJECT, 206: answer('The range, with Content-Range.', BYTES), 416: problem('The range is beyond the end; Content-Range tells the size.'), ...READ_RESPONSES },
    },
    head: { summary: "Fetch an object's headers", parameters: [NAME, CONSISTENCY, ...READ_CONDITIONS], responses: { 200: answer('As for GET, without the body.'), ...READ_RESPONSES } },
    put: {
      summary: 'Store the body as the object',
      parameters: [
        NAME,
        IF_MATCH,
        header('If-None-Match', '"*": only if there is no such object.'),
        IDEMPOTENCY_KEY,
        header('Content-MD5', 'Verified before anything is stored.'),
        header('Content-Digest', 'md5, sha-256 or sha-512, verified before anything is stored.'),
        header('Repr-Digest', 'As Content-Digest.'),
      ],
      requestBody: { description: `At most ${OBJECT_BYTES_MAX} bytes, of known length or chunked. Content-Type and x-dht-meta-* are kept.`, required: true, content: { '*/*': { schema: { type: 'string', format: 'binary' } } } },
      responses: {
        200: answer('Replaced.', RECEIPT),
        201: answer('Created.', RECEIPT),
        400: problem('The name or a header is wrong.'),
        411: problem('Neither Content-Length nor chunked.'),
        412: problem('The condition does not hold.'),
        413: problem('The body is too large.'),
        422: problem('The body does not have the announced digest.'),
        503: problem('Not stored (outcome not-applied), or nobody knows (outcome unknown).'),
        507: problem('The disk is too full.'),
      },
    },
    delete: {
      summary: 'Remove the object',
      parameters: [NAME, IF_MATCH, IDEMPOTENCY_KEY],
      responses: { 204: answer('Gone, whether or not it existed.'), 400: problem('The name or a header is wrong.'), 412: problem('The condition does not hold.'), 503: problem('Not removed (outcome not-applied), or nobody knows (outcome unknown).') },
    },
  },
};

/** Any of these may ask for a token. */
function withToken(operation: Operation): Operation {
  return { ...operation, responses: { ...operation.responses, 401: problem('The gateway has tokens, and the request shows none of them.') }, security: [{ gatewayToken: [] }, {}] };
}

const GATEWAY_PATHS: OpenApiDocument['paths'] = {
  ...Object.fromEntries(Object.entries(OBJECT_PATHS).map(([path, operations]) => [path, Object.fromEntries(Object.entries(operations).map(([method, operation]) => [method, withToken(operation)]))])),
  '/v1/openapi.json': { get: OPEN_API },
};

const health = (summary: string, notOk?: string): Operation => ({ summary, responses: { 200: answer('Yes.', json(schema('Health'))), ...(notOk !== undefined && { 503: answer(notOk, json(schema('Health'))) }) } });
const NOT_READY = { 503: problem('The node is starting.') };
const ADMIN_ONLY = [{ adminToken: [] }, {}];

const ADMIN_PATHS: OpenApiDocument['paths'] = {
  '/': { get: { summary: 'A page for people: the ring, its members, what moves, what happened', responses: { 200: answer('HTML that loads nothing from elsewhere.', { 'text/html': { schema: text } }) } } },
  '/livez': { get: health('Does the process answer?') },
  '/readyz': { get: health('Does the node serve?', 'Not yet, or not any more; with the reason.') },
  '/startupz': { get: health('Has the node started?', 'Not yet; with the reason.') },
  '/healthz/cluster': { get: health('Has every arc of the ring a live majority?', 'No; with the reason.') },
  '/metrics': { get: { summary: 'Metrics for Prometheus', responses: { 200: answer('Prometheus text.', { 'text/plain': { schema: text } }) } } },
  '/v1/openapi.json': { get: OPEN_API },
  '/v1/node': {
    get: {
      summary: 'This node',
      parameters: [
        query('files', { type: 'boolean' }, 'With files[] (this node is the owner) and backUpFiles[] (it holds another copy).'),
        query('limit', { type: 'integer', minimum: 1, maximum: FILES_PAGE_MAX }, 'Names in a page.'),
        query('cursor', text, 'Where the page before ended.'),
      ],
      responses: { 200: answer('The node as it sees itself.', json(schema('Node'))), 400: problem('A parameter is wrong.'), ...NOT_READY },
    },
  },
  '/v1/node/join': {
    post: {
      summary: 'Join a ring through any of the seeds; none founds a ring of one',
      requestBody: { required: true, content: json({ type: 'object', required: ['seeds'], properties: { seeds: { type: 'array', items: text } } }) },
      responses: { 200: answer('Member and serving.', json(schema('Node'))), 400: problem('The body is wrong.'), 401: problem('The admin token is needed.'), 409: problem('Already in another ring.'), 413: problem('The body is too large.'), 503: problem('No seed answered in time.') },
      security: ADMIN_ONLY,
    },
  },
  '/v1/node/leave': {
    post: { summary: 'Hand everything over, then leave', responses: { 202: answer('Begun; GET /v1/node tells the progress.', json(schema('Node'))), 401: problem('The admin token is needed.'), 409: problem('Not possible in this state.'), ...NOT_READY }, security: ADMIN_ONLY },
  },
  '/v1/ring': { get: { summary: 'The ring as seen from this node', responses: { 200: answer('Members, liveness, shares, arcs, moves, safety.', json(schema('Ring'))), ...NOT_READY } } },
  '/v1/events': {
    get: {
      summary: 'What happens to the ring, as server-sent events; those kept come first',
      parameters: [header('Last-Event-ID', 'Only what came behind this event.')],
      responses: { 200: answer('A stream: `event` is the kind, `data` the event as JSON, `id` for Last-Event-ID.', { 'text/event-stream': { schema: schema('Event') } }), 503: problem('The node is starting, or too many clients follow the events.') },
    },
  },
  '/v1/ring/recover': {
    post: {
      summary: 'Give up the members that are down, when the voters or an arc lost their majority for good; without acceptDataLoss it only tells the cost',
      requestBody: { required: true, content: json({ type: 'object', properties: { acceptDataLoss: { type: 'boolean' } } }) },
      responses: { 200: answer('Recovered: the ring of the survivors.', json(schema('Ring'))), 400: problem('The body is wrong.'), 401: problem('The admin token is needed.'), 409: problem('Refused: nothing to recover, the cost was not accepted (the detail tells it), or a survivor does not agree.'), ...NOT_READY },
      security: ADMIN_ONLY,
    },
  },
  '/v1/ring/lookup': {
    get: { summary: 'Explain where an object is', parameters: [query('name', text, "The object's name.", true)], responses: { 200: answer('Hash, position, arc, preference list, what each replica holds.', json(schema('Explanation'))), 400: problem('The name is wrong.'), ...NOT_READY } },
  },
};

const address = { type: 'object', properties: { host: text, port: integer, key: integer } };

const SCHEMAS = {
  Problem: {
    type: 'object',
    required: ['type', 'title', 'status', 'code', 'detail', 'retryable', 'requestId'],
    properties: { type: text, title: text, status: integer, code: { enum: Object.keys(ERRORS) }, detail: text, retryable: { type: 'boolean' }, requestId: text, outcome: { enum: ['not-applied', 'unknown'], description: 'For writes: whether it may be there.' }, currentEtag: { type: ['string', 'null'] }, name: { type: ['string', 'null'], description: 'In the answer to a form: the file.' }, parts: { type: 'array', description: 'Of a form that could not be read to its end.', items: { type: 'object' } } },
  },
  Receipt: {
    type: 'object',
    required: ['name', 'key', 'size', 'sha256', 'etag', 'version', 'owner', 'replicas', 'replicationFactor', 'durableCopies'],
    properties: { name: text, key: integer, size: integer, sha256: text, etag: text, version: text, owner: text, replicas: { type: 'array', items: { type: 'object', properties: { node: text, durable: { type: 'boolean' } } } }, replicationFactor: integer, durableCopies: integer },
  },
  Listing: {
    type: 'object',
    required: ['objects', 'commonPrefixes'],
    properties: { objects: { type: 'array', items: { type: 'object', required: ['name', 'size', 'etag', 'modified'], properties: { name: text, size: integer, etag: text, modified: { type: 'string', format: 'date-time' } } } }, commonPrefixes: { type: 'array', items: text }, cursor: text },
  },
  Event: {
    type: 'object',
    required: ['id', 'at', 'kind', 'member', 'epoch', 'count', 'message'],
    properties: { id: text, at: { type: 'string', format: 'date-time' }, kind: { enum: RING_EVENT_KINDS }, member: { type: ['string', 'null'] }, epoch: integer, count: { type: ['integer', 'null'], description: 'Of moved: arcs. Of repaired: what had lacked a copy.' }, message: text },
  },
  Health: { type: 'object', required: ['status', 'reason'], properties: { status: { enum: ['ok', 'unavailable'] }, reason: text } },
  Node: {
    type: 'object',
    properties: {
      host: text, port: integer, httpPort: { type: ['integer', 'null'] }, adminPort: { type: ['integer', 'null'] }, M: integer, N: integer, key: integer, nodeId: text, protocolMin: integer, protocolMax: integer, clusterId: { type: ['string', 'null'] }, incarnation: integer,
      storage: { type: 'object', properties: { totalBytes: integer, freeBytes: integer, ballastBytes: integer, level: { enum: ['ample', 'low', 'full', 'read-only'] }, isReadOnly: { type: 'boolean' }, detail: text } },
      state: text, stateDetail: text, epoch: integer, successor: { anyOf: [address, { type: 'null' }] }, predecessor: { anyOf: [address, { type: 'null' }] }, successors: { type: 'array', items: address }, replicationFactor: integer, log: text,
      transport: { enum: ['tls-psk', 'plaintext'] }, files: { type: 'array', items: text }, backUpFiles: { type: 'array', items: text }, cursor: { type: ['string', 'null'] },
    },
  },
  Ring: { type: 'object', properties: { epoch: integer, phase: text, members: { type: 'array', items: { type: 'object' } }, isSafe: { type: 'boolean' }, safety: text } },
  Explanation: { type: 'object', properties: { name: text, hash: text, key: integer, owner: { type: ['string', 'null'] }, preferenceList: { type: 'array', items: { type: 'object' } } } },
} as const;

export function openApiDocument(port: Port, version: string): OpenApiDocument {
  return {
    openapi: '3.1.0',
    info: { title: port === 'gateway' ? 'dht: objects' : 'dht: node and ring', version, description: 'A distributed hash table that stores files. Every node answers for every name.' },
    paths: port === 'gateway' ? GATEWAY_PATHS : ADMIN_PATHS,
    components: { schemas: SCHEMAS, securitySchemes: { gatewayToken: { type: 'http', scheme: 'bearer', description: 'When the node has a tokens file.' }, adminToken: { type: 'http', scheme: 'bearer', description: 'Off loopback; derived from the cluster secret.' } } },
  };
}
