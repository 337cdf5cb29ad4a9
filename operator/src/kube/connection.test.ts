import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { loadConnection } from './connection.ts';
import { KubeError } from './types.ts';

describe('loadConnection', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'kube-connection-'));
  });

  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  const write = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const kubeconfig = (cluster: string, user: string): string =>
    [
      'apiVersion: v1',
      'kind: Config',
      'current-context: here',
      `clusters: [{name: c, cluster: {${cluster}}}]`,
      `users: [{name: u, user: {${user}}}]`,
      'contexts: [{name: here, context: {cluster: c, user: u, namespace: shop}}]',
    ].join('\n');

  it('reads a kubeconfig file with certificates', async () => {
    write('ca.crt', 'the ca');
    const path = write(
      'config',
      kubeconfig(
        'server: "https://10.0.0.1:6443/", certificate-authority: ca.crt, tls-server-name: kube',
        `client-certificate-data: ${base64('the cert')}, client-key-data: ${base64('the key')}`,
      ),
    );
    const connection = await loadConnection({ env: { KUBECONFIG: path } });
    assert.equal(connection.server, 'https://10.0.0.1:6443');
    const { ca, cert, key } = connection;
    assert.deepEqual([ca, cert, key].map(String), ['the ca', 'the cert', 'the key']);
    assert.equal(await connection.token(), null);
    assert.deepEqual(
      [connection.serverName, connection.namespace, connection.isUnverified],
      ['kube', 'shop', false],
    );
  });

  it('reads a kubeconfig file with a token, of a server without certificates', async () => {
    const path = write('config', kubeconfig('server: "http://127.0.0.1:8001"', 'token: secret'));
    const connection = await loadConnection({ env: { KUBECONFIG: path } });
    assert.equal(connection.server, 'http://127.0.0.1:8001');
    assert.equal(await connection.token(), 'secret');
    assert.equal(connection.isUnverified, false);
  });

  it('finds the file in the home directory', async () => {
    mkdirSync(join(folder, '.kube'));
    write('.kube/config', kubeconfig('server: "https://home:6443"', 'token: secret'));
    const connection = await loadConnection({ env: { HOME: folder } });
    assert.equal(connection.server, 'https://home:6443');
  });

  it('takes the service account of a pod, and its token anew every minute', async () => {
    write('ca.crt', 'the ca');
    write('namespace', 'shop');
    const token = write('token', 'first\n');
    let now = 0;
    const connection = await loadConnection({
      env: { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443', HOME: folder },
      ...{ serviceAccount: folder, now: () => now },
    });
    assert.equal(connection.server, 'https://[fd00::1]:443');
    assert.deepEqual([String(connection.ca), connection.namespace], ['the ca', 'shop']);
    writeFileSync(token, 'second');
    now = 59_999;
    assert.equal(await connection.token(), 'first');
    now = 60_000;
    assert.equal(await connection.token(), 'second');
    rmSync(token);
    now = 120_000;
    assert.equal(await connection.token(), 'second');
  });

  it('says what to do where there is nothing', async () => {
    for (const env of [
      { HOME: folder },
      { KUBECONFIG: join(folder, 'none') },
      { KUBERNETES_SERVICE_HOST: '10.0.0.1' },
    ]) {
      await assert.rejects(
        loadConnection({ env, serviceAccount: join(folder, 'none') }),
        (error) =>
          error instanceof KubeError && error.code === 0 && /Set KUBECONFIG/.test(error.message),
      );
    }
  });
});
