/**
 * Where the API server is and who we are to it.
 *
 * In a pod these are two environment variables and two files, which are read here: the library that understands kubeconfig files
 * costs 93 MB of memory and half a second (2.0.1; its modules load each other, so no part of it is cheaper), and the operator is
 * to fit in 200 MB. It is loaded where there is a kubeconfig file, which is on the machine of a developer.
 */
import { access, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { KubeError } from './types.ts';

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
/** Tokens of pods are replaced at four fifths of their life, an hour by default; a minute is what other clients take. */
const TOKEN_AGE_MAX_MS = 60_000;

export interface KubeConnection {
  /** `https://host:port`, without a path. */
  readonly server: string;
  /** PEM; null: the authorities of the system. */
  readonly ca: Buffer | string | null;
  /** Client certificate and its key, PEM. */
  readonly cert: Buffer | string | null;
  readonly key: Buffer | string | null;
  /** Name that the server's certificate must have; null: that in `server`. */
  readonly serverName: string | null;
  /** The server's certificate is not looked at. Only kubeconfig files can ask for it. */
  readonly isUnverified: boolean;
  /** Of the pod, or of the context; null where it has none. */
  readonly namespace: string | null;
  /** Bearer token, or null where the certificate says who we are. It is read again at most once a minute. */
  token(): Promise<string | null>;
}

export interface ConnectionSource {
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Milliseconds, never backwards. */
  readonly now?: () => number;
  /** Folder with `token`, `ca.crt` and `namespace`. */
  readonly serviceAccount?: string;
}

/**
 * `KUBECONFIG`, else the service account of the pod, else `~/.kube/config`. Throws KubeError with code 0 where there is none, or
 * where it cannot be read.
 */
export async function loadConnection(source: ConnectionSource = {}): Promise<KubeConnection> {
  const { env = process.env } = source;
  const home = join(env['HOME'] ?? homedir(), '.kube', 'config');
  try {
    const named = env['KUBECONFIG'] ?? '';
    if (named !== '') return await fromKubeconfig(named, source);
    if ((env['KUBERNETES_SERVICE_HOST'] ?? '') !== '') return await inCluster(source);
    await access(home);
    return await fromKubeconfig(home, source);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    throw new KubeError(
      `No way to the API server. Set KUBECONFIG, or run in a pod with a service account: ${text}`,
      { code: 0 },
    );
  }
}

async function inCluster(source: ConnectionSource): Promise<KubeConnection> {
  const { env = process.env, serviceAccount: folder = SERVICE_ACCOUNT } = source;
  const host = env['KUBERNETES_SERVICE_HOST'] ?? '';
  const port = env['KUBERNETES_SERVICE_PORT'] ?? '443';
  const token = remembered(
    async () => (await readFile(join(folder, 'token'), 'utf8')).trim(),
    source.now,
  );
  await token();
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    ca: await readFile(join(folder, 'ca.crt')),
    ...{ cert: null, key: null, serverName: null, isUnverified: false },
    namespace: (await readFile(join(folder, 'namespace'), 'utf8')).trim(),
    token,
  };
}

/** `paths` is one file or several, as in the variable; the first one's context counts. */
async function fromKubeconfig(paths: string, source: ConnectionSource): Promise<KubeConnection> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  for (const [place, path] of paths.split(':').entries()) {
    const part = new KubeConfig();
    part.loadFromFile(path);
    config.mergeConfig(part, place > 0);
  }
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new Error(`${paths} has no current context`);
  const isPlain = cluster.server.startsWith('http:');
  // The library speaks no plain HTTP unless certificates are not to be looked at, of which there are none.
  if (isPlain) Object.assign(cluster, { skipTLSVerify: true });

  const options: { headers: Record<string, string>; [name: string]: unknown } = { headers: {} };
  // This is what runs the commands that credentials may come from, and reads the files.
  const settle = (): Promise<void> => config.applyToHTTPSOptions(options);
  await settle();
  const contents = (name: string): Buffer | string | null =>
    (options[name] as Buffer | string | null | undefined) ?? null;
  return {
    server: cluster.server.replace(/\/+$/, ''),
    ca: contents('ca'),
    cert: contents('cert'),
    key: contents('key'),
    serverName: cluster.tlsServerName ?? null,
    isUnverified: !isPlain && cluster.skipTLSVerify,
    namespace: config.getContextObject(config.getCurrentContext())?.namespace ?? null,
    token: remembered(async () => {
      await settle();
      return options.headers['Authorization']?.replace(/^Bearer /, '').trim() ?? null;
    }, source.now),
  };
}

/** Reads at most once a minute; where a later read fails, the old value serves on until one succeeds. */
function remembered(
  read: () => Promise<string | null>,
  now: () => number = () => performance.now(),
): () => Promise<string | null> {
  let readAt = 0;
  let value: Promise<string | null> | null = null;
  return () => {
    if (value === null || now() - readAt >= TOKEN_AGE_MAX_MS) {
      const before = value;
      readAt = now();
      value = before === null ? read() : read().catch(() => before);
    }
    return value;
  };
}
