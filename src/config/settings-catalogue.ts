/**
 * The one catalogue of settings: flag, environment name, default, unit, what is allowed, and how the text becomes a
 * value. The parser, `--help` and docs/settings.md all follow from it, so none of them can lag behind another.
 *
 * The mapped type makes the compiler ask for an entry for every field of NodeSettings, and for the right kind of value.
 */
import { CLUSTER_SECRET_BYTES_MIN } from '../domain/limits.ts';
import { parseAddress, type NodeAddress } from '../domain/node-address.ts';
import { PROTOCOL_VERSIONS } from '../domain/protocol-versions.ts';
import { KEY_BITS_MAX, KEY_BITS_MIN } from '../domain/ring-position.ts';
import { LEAVE_POLICIES, LOG_FORMATS, LOG_LEVELS, type NodeSettings } from './node-settings.ts';

export interface Setting<T> {
  /** Null: only from the environment (a secret doesn't belong where `ps` shows it). */
  readonly flag: string | null;
  readonly environment: string;
  /** value: one text. list: repeatable flag, commas in the environment. switch: a flag without a value. */
  readonly arity: 'value' | 'list' | 'switch';
  /** Stands for the value in the help. */
  readonly placeholder: string;
  readonly default: T;
  /** The default as the help shows it; may be a rule ("host:port"). */
  readonly defaultText: string;
  readonly unit: string;
  /** What is allowed, in words that end an error message. */
  readonly allowed: string;
  readonly help: string;
  /** The text's value; undefined when it is not allowed. */
  parse(text: string): T | undefined;
}

export type SettingsCatalogue = { readonly [K in keyof NodeSettings]: Setting<NodeSettings[K]> };

const PORT_MAX = 65_535;
const REPLICAS_MAX = 9;
const TOKENS_MAX = 256;
const CANDIDATES_MAX = 64;
const BOOTSTRAP_MAX = 100;
/** A month: longer means never. */
const OUT_AFTER_MAX = 2_592_000;
const SECRET_CHARACTERS_MAX = 4096;

function integer(min: number, max: number): { readonly allowed: string; parse(text: string): number | undefined } {
  return {
    allowed: `an integer from ${min} to ${max}`,
    parse(text) {
      const value = /^\d{1,9}$/.test(text) ? Number(text) : NaN;
      return value >= min && value <= max ? value : undefined;
    },
  };
}

function oneOf<T extends string>(values: readonly T[]): { readonly allowed: string; parse(text: string): T | undefined } {
  return { allowed: `one of ${values.join(', ')}`, parse: (text) => values.find((value) => value === text) };
}

function nonEmpty(allowed: string): { readonly allowed: string; parse(text: string): string | undefined } {
  return { allowed, parse: (text) => (text.length > 0 && !text.includes('\0') ? text : undefined) };
}

const port = { unit: 'port', arity: 'value', placeholder: 'PORT', ...integer(0, PORT_MAX), allowed: `a port from 0 (any free one) to ${PORT_MAX}` } as const;

const HOST = /^(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)$/;
const host = {
  unit: 'name',
  arity: 'value',
  placeholder: 'HOST',
  allowed: 'a host name or an IP address, without a port',
  parse: (text: string): string | undefined => (HOST.test(text) ? text : undefined),
} as const;

const kubernetesName = {
  unit: 'name',
  arity: 'value',
  placeholder: 'NAME',
  default: null,
  defaultText: 'none',
  allowed: 'the name of a Kubernetes object: lower-case letters, digits, dashes and dots',
  parse: (text: string): string | undefined => (/^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/.test(text) ? text : undefined),
} as const;

const onOff = {
  unit: 'switch',
  arity: 'switch',
  placeholder: '',
  allowed: 'true or false',
  parse: (text: string): boolean | undefined => (text === 'true' ? true : text === 'false' ? false : undefined),
} as const;

function addressList(text: string): readonly NodeAddress[] | undefined {
  const addresses: NodeAddress[] = [];
  for (const part of text.split(',')) {
    const address = parseAddress(part.trim());
    if (address === null || address.port === 0) return undefined;
    addresses.push(address);
  }
  return addresses;
}

export const SETTINGS: SettingsCatalogue = {
  host: { ...host, flag: 'host', environment: 'DHT_HOST', default: 'localhost', defaultText: 'localhost', help: "The ring address's host: with the port it names the node, gives its key and its directory." },
  port: { ...port, flag: 'port', environment: 'DHT_PORT', default: 7400, defaultText: '7400', help: 'The ring port, where peers connect.' },
  advertise: { flag: 'advertise', environment: 'DHT_ADVERTISE', arity: 'value', placeholder: 'HOST:PORT', default: null, defaultText: 'host:port', unit: 'address', allowed: 'host:port', help: 'The address that peers dial, when it differs from host and port.', parse: (text) => parseAddress(text) ?? undefined },
  listen: { ...host, flag: 'listen', environment: 'DHT_LISTEN', default: null, defaultText: 'loopback when host is loopback, else all', help: 'The interface to bind for peers.' },
  httpListen: { ...host, flag: 'http-listen', environment: 'DHT_HTTP_LISTEN', default: null, defaultText: 'loopback when host is loopback, else all', help: 'The interface to bind for the gateway.' },
  adminListen: { ...host, flag: 'admin-listen', environment: 'DHT_ADMIN_LISTEN', default: null, defaultText: 'loopback', help: 'The interface to bind for the admin port. Off loopback every POST there needs the admin token.' },
  httpPort: { ...port, flag: 'http-port', environment: 'DHT_HTTP_PORT', default: 8080, defaultText: '8080', help: 'The gateway port: put, get and delete objects.' },
  adminPort: { ...port, flag: 'admin-port', environment: 'DHT_ADMIN_PORT', default: 9464, defaultText: '9464', help: 'The admin port: health, metrics, node and ring control.' },
  dataDir: { flag: 'data-dir', environment: 'DHT_DATA_DIR', arity: 'value', placeholder: 'DIRECTORY', default: './data', defaultText: './data', unit: 'path', help: "Where data goes; the node's own files are in DIRECTORY/<host>_<port>/.", ...nonEmpty('a path') },
  join: { flag: 'join', environment: 'DHT_JOIN', arity: 'list', placeholder: 'HOST:PORT', default: [], defaultText: 'none', unit: 'addresses', allowed: 'host:port with a port from 1 to 65535 (repeat the flag, or separate by commas)', help: 'Nodes of the ring to join; any one that answers is enough.', parse: addressList },
  bootstrapExpect: { flag: 'bootstrap-expect', environment: 'DHT_BOOTSTRAP_EXPECT', arity: 'value', placeholder: 'COUNT', default: 1, defaultText: '1', unit: 'nodes', help: 'The initial names are the first COUNT of --join, the same list on each node, itself included; all have to be seen empty before a ring is founded.', ...integer(1, BOOTSTRAP_MAX) },
  noJoin: { ...onOff, flag: 'no-join', environment: 'DHT_NO_JOIN', default: false, defaultText: 'false', help: 'Stay alone until told by POST /v1/node/join. Otherwise an empty node without --join founds its own ring.' },
  replicas: { flag: 'replicas', environment: 'DHT_REPLICAS', arity: 'value', placeholder: 'COUNT', default: 3, defaultText: '3', unit: 'copies', help: 'Copies kept of each object. Taken by the founder; a joining node takes the value of its ring.', ...integer(1, REPLICAS_MAX) },
  keyBits: { flag: 'key-bits', environment: 'DHT_KEY_BITS', arity: 'value', placeholder: 'M', default: KEY_BITS_MAX, defaultText: String(KEY_BITS_MAX), unit: 'bits', help: 'M: the ring has 2^M positions. Taken by the founder.', ...integer(KEY_BITS_MIN, KEY_BITS_MAX) },
  tokens: { flag: 'tokens', environment: 'DHT_TOKENS', arity: 'value', placeholder: 'COUNT', default: 16, defaultText: '16', unit: 'positions', help: 'Positions of each node on the ring: more balance better, fewer move in larger pieces. Taken by the founder.', ...integer(1, TOKENS_MAX) },
  candidates: { flag: 'candidates', environment: 'DHT_CANDIDATES', arity: 'value', placeholder: 'COUNT', default: 8, defaultText: '8', unit: 'positions', help: 'Positions tried for each token, of which the best balanced is kept. Taken by the founder.', ...integer(1, CANDIDATES_MAX) },
  zone: { flag: 'zone', environment: 'DHT_ZONE', arity: 'value', placeholder: 'NAME', default: '', defaultText: 'none', unit: 'name', allowed: 'up to 63 letters, digits, dots, dashes and underscores', help: 'Where the node stands; copies go to different zones while there are enough.', parse: (text) => (/^[A-Za-z0-9._-]{1,63}$/.test(text) ? text : undefined) },
  outAfter: { flag: 'out-after', environment: 'DHT_OUT_AFTER', arity: 'value', placeholder: 'SECONDS', default: 600, defaultText: '600', unit: 'seconds', help: 'How long a member is down until the others take it out of the ring and copy its data again, if enough others are up; 0: never. The same on every node.', ...integer(0, OUT_AFTER_MAX) },
  protocolMax: { flag: 'protocol-max', environment: 'DHT_PROTOCOL_MAX', arity: 'value', placeholder: 'VERSION', default: PROTOCOL_VERSIONS.max, defaultText: String(PROTOCOL_VERSIONS.max), unit: 'version', help: 'The highest version of the peer protocol that this node speaks. Lower it to the version of the oldest node before an upgrade that may have to be taken back; otherwise each two nodes agree by themselves.', ...integer(PROTOCOL_VERSIONS.min, PROTOCOL_VERSIONS.max) },
  clusterSecret: { flag: null, environment: 'DHT_CLUSTER_SECRET', arity: 'value', placeholder: 'TEXT', default: null, defaultText: 'none', unit: 'text', allowed: `text of ${CLUSTER_SECRET_BYTES_MIN} to ${SECRET_CHARACTERS_MAX} bytes`, help: 'The cluster secret itself; it authenticates and encrypts the traffic between nodes.', parse: parseSecret },
  clusterSecretFile: { flag: 'cluster-secret-file', environment: 'DHT_CLUSTER_SECRET_FILE', arity: 'value', placeholder: 'FILE', default: null, defaultText: 'none', unit: 'path', help: `A file with the cluster secret, ${CLUSTER_SECRET_BYTES_MIN} bytes or more. Needed off loopback.`, ...nonEmpty('a path') },
  insecureTransport: { ...onOff, flag: 'insecure-transport', environment: 'DHT_INSECURE_TRANSPORT', default: false, defaultText: 'false', help: 'Plain TCP between the nodes, without a secret: for debugging, or inside a mesh that encrypts.' },
  gatewayTokensFile: { flag: 'gateway-tokens-file', environment: 'DHT_GATEWAY_TOKENS_FILE', arity: 'value', placeholder: 'FILE', default: null, defaultText: 'none', unit: 'path', help: 'A file with one name:token a line, each token of 16 characters or more; object requests then need one of them (Authorization: Bearer). The name goes to the log and the metrics. A replaced file is in use within seconds.', ...nonEmpty('a path') },
  tlsCertFile: { flag: 'tls-cert-file', environment: 'DHT_TLS_CERT_FILE', arity: 'value', placeholder: 'FILE', default: null, defaultText: 'none', unit: 'path', help: 'The certificate of the gateway as PEM, with those between it and the authority behind it; the gateway port then speaks HTTPS. Needs --tls-key-file. A replaced pair of files is in use within seconds, for new connections.', ...nonEmpty('a path') },
  tlsKeyFile: { flag: 'tls-key-file', environment: 'DHT_TLS_KEY_FILE', arity: 'value', placeholder: 'FILE', default: null, defaultText: 'none', unit: 'path', help: 'The private key of that certificate, as PEM.', ...nonEmpty('a path') },
  kubernetesNamespace: { ...kubernetesName, flag: 'kubernetes-namespace', environment: 'DHT_KUBERNETES_NAMESPACE', help: 'The namespace of this pod. With it the node asks the Kubernetes API how many nodes are wanted, and shares secret and identity of the ring through a Secret.' },
  kubernetesStatefulSet: { ...kubernetesName, flag: 'kubernetes-stateful-set', environment: 'DHT_KUBERNETES_STATEFUL_SET', help: 'The StatefulSet of this pod; --host is then the name of the pod, which ends with its ordinal.' },
  kubernetesSecret: { ...kubernetesName, flag: 'kubernetes-secret', environment: 'DHT_KUBERNETES_SECRET', help: 'The Secret that all nodes of the installation share. Its entries secret and clusterId are filled by the nodes when they are empty; a cluster secret file that exists goes before the entry.' },
  leavePolicy: { flag: 'leave-policy', environment: 'DHT_LEAVE_POLICY', arity: 'value', placeholder: 'POLICY', default: 'never', defaultText: 'never', unit: 'policy', help: 'What a signal to end means. never: a restart. auto: the node leaves when its StatefulSet says that its ordinal is not wanted any more, else a restart. always: it leaves.', ...oneOf(LEAVE_POLICIES) },
  reapAfter: { flag: 'reap-after', environment: 'DHT_REAP_AFTER', arity: 'value', placeholder: 'SECONDS', default: 600, defaultText: '600', unit: 'seconds', help: 'How long a member is down, and its ordinal beyond those wanted, until the others remove it.', ...integer(60, OUT_AFTER_MAX) },
  drainDelay: { flag: 'drain-delay', environment: 'DHT_DRAIN_DELAY', arity: 'value', placeholder: 'SECONDS', default: 0, defaultText: '0', unit: 'seconds', help: 'How long the gateway goes on after a signal to end, not ready any more, so that load balancers hear of it.', ...integer(0, 300) },
  httpDrain: { flag: 'http-drain', environment: 'DHT_HTTP_DRAIN', arity: 'value', placeholder: 'SECONDS', default: 3, defaultText: '3', unit: 'seconds', help: 'How long requests under way get to end when the node stops.', ...integer(0, 3600) },
  httpConnectionsMax: { flag: 'http-connections-max', environment: 'DHT_HTTP_CONNECTIONS_MAX', arity: 'value', placeholder: 'COUNT', default: 10_000, defaultText: '10000', unit: 'connections', help: 'Client connections to the gateway at a time; further ones are closed at once.', ...integer(1, 1_000_000) },
  httpRequestsMax: { flag: 'http-requests-max', environment: 'DHT_HTTP_REQUESTS_MAX', arity: 'value', placeholder: 'COUNT', default: 1024, defaultText: '1024', unit: 'requests', help: 'Object requests served at a time, each with up to 128 KiB in memory; further ones are answered 503 with Retry-After.', ...integer(1, 100_000) },
  metricsPerPeer: { ...onOff, flag: 'metrics-per-peer', environment: 'DHT_METRICS_PER_PEER', default: false, defaultText: 'false', help: 'Also show, for each other member, how much this node suspects it and when it last heard from it: in a ring of n nodes n times n series of each.' },
  logLevel: { flag: 'log-level', environment: 'DHT_LOG_LEVEL', arity: 'value', placeholder: 'LEVEL', default: 'info', defaultText: 'info', unit: 'level', help: 'The least level that is logged.', ...oneOf(LOG_LEVELS) },
  logFormat: { flag: 'log-format', environment: 'DHT_LOG_FORMAT', arity: 'value', placeholder: 'FORMAT', default: 'auto', defaultText: 'auto', unit: 'format', help: 'JSON lines, or text to read; auto is text on a terminal.', ...oneOf(LOG_FORMATS) },
};

function parseSecret(text: string): string | undefined {
  const bytes = Buffer.byteLength(text);
  return bytes >= CLUSTER_SECRET_BYTES_MIN && bytes <= SECRET_CHARACTERS_MAX ? text : undefined;
}

/** Environment names that belong to the command line, not to a node. */
export const COMMAND_LINE_ENVIRONMENT: readonly string[] = ['DHT_URL', 'DHT_ADMIN_URL', 'DHT_TOKEN'];
