import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { defaultStoreOptions } from '../engine/options.ts';
import { compileConfig, type Compiled, type NodeConfig } from './compile.ts';
import {
  environmentName,
  settingKeys,
  settingOf,
  type SettingKey,
  type SettingValue,
} from './settings.ts';
import { fromEnvironment, fromFlags, fromToml } from './sources.ts';

interface Written {
  readonly toml?: string;
  readonly environment?: Record<string, string>;
  readonly flags?: readonly string[];
}

function compile({ toml = '', environment = {}, flags = [] }: Written): Compiled {
  return compileConfig([
    fromToml('sierradb.toml', toml),
    fromEnvironment(environment),
    fromFlags(flags),
  ]);
}

function configOf(written: Written): NodeConfig {
  const compiled = compile(written);
  assert.ok(compiled.ok, compiled.ok ? '' : JSON.stringify(compiled.problems));
  return compiled.config;
}

function effective(written: Written, key: SettingKey): { value: SettingValue; source: string } {
  const compiled = compile(written);
  assert.ok(compiled.ok, compiled.ok ? '' : JSON.stringify(compiled.problems));
  const found = compiled.effective.find((setting) => setting.key === key);
  assert.ok(found !== undefined);
  return { value: found.value, source: found.source };
}

/** Problems as lines, the way a person reads them. */
function problemsOf(written: Written): string[] {
  const compiled = compile(written);
  assert.ok(!compiled.ok, 'expected problems');
  return compiled.problems.map(({ source, key, reason }) => `${source}: ${key ?? ''}: ${reason}`);
}

function warningsOf(written: Written): readonly string[] {
  const compiled = compile(written);
  assert.ok(compiled.ok);
  return compiled.warnings;
}

/** For each key a value that is not the default: as text, as TOML, and as compiled. */
const samples: Record<SettingKey, readonly [text: string, toml: string, value: SettingValue]> = {
  dir: ['/srv/events', '"/srv/events"', '/srv/events'],
  'append.max_bytes': ['1MiB', '"1MiB"', 1_048_576],
  'append.strict_versioning': ['true', 'true', true],
  'append.in_flight_bytes_max': ['64MiB', '67108864', 67_108_864],
  'bucket.count': ['8', '8', 8],
  'bucket.ids': ['0,1', '[0, 1]', [0, 1]],
  'cache.capacity_bytes': ['10MB', '10000000', 10_000_000],
  'cache.filter_bytes': ['0', '0', 0],
  'cache.heads': ['5000', '5000', 5000],
  'cluster.forming': ['operator', '"operator"', 'operator'],
  'disk.reserve_bytes': ['1GiB', '"1GiB"', 1_073_741_824],
  'heartbeat.interval_ms': ['500', '500', 500],
  'heartbeat.timeout_ms': ['7000', '7000', 7000],
  'journal.file_bytes': ['128MiB', '134217728', 134_217_728],
  'journal.files_max': ['8', '8', 8],
  'log.level': ['DEBUG', '"debug"', 'debug'],
  'network.admin_address': ['[::1]:9999', '"[::1]:9999"', { host: '::1', port: 9999 }],
  'network.client_address': ['localhost:0', '"localhost:0"', { host: 'localhost', port: 0 }],
  'network.cluster_address': [
    '/ip4/10.0.0.1/tcp/0',
    '"/ip4/10.0.0.1/tcp/0"',
    { host: '10.0.0.1', port: 9190 },
  ],
  'network.cluster_enabled': ['false', 'false', false],
  'network.cluster_secret_file': ['/run/secret', '"/run/secret"', '/run/secret'],
  'network.max_connections': ['12', '12', 12],
  'network.mdns': ['true', 'true', true],
  'network.peers': [
    'a:1,[::1]:2',
    '["a:1", "[::1]:2"]',
    [
      { host: 'a', port: 1 },
      { host: '::1', port: 2 },
    ],
  ],
  'network.request_timeout_ms': ['5000', '5000', 5000],
  'node.count': ['1', '1', 1],
  'node.index': ['0', '0', 0],
  'partition.count': ['64', '64', 64],
  'partition.ids': ['3', '[3]', [3]],
  'protocol.default': ['2', '2', '2'],
  'scan.page_bytes_max': ['1MiB', '"1 MiB"', 1_048_576],
  'replication.factor': ['1', '1', 1],
  'replication.buffer_size': ['7', '7', 7],
  'replication.buffer_timeout_ms': ['8', '8', 8],
  'replication.catchup_timeout_ms': ['9', '9', 9],
  'replication.copy_percent': ['40', '40', 40],
  'scrub.bytes_per_second': ['1MiB', '1048576', 1_048_576],
  'segment.compression': ['true', 'true', true],
  'segment.size_bytes': ['32MiB', '33554432', 33_554_432],
  'subscriptions.max_targets': ['77', '77', 77],
  'sync.idle_interval_ms': ['1', '1', 1],
  'sync.interval_ms': ['2', '2', 2],
  'sync.max_batch_size': ['3', '3', 3],
  'sync.min_bytes': ['4', '4', 4],
  'threads.read': ['8', '8', 8],
  'threads.write': ['6', '6', 6],
};

function toToml(key: SettingKey, value: string): string {
  const [section, name] = key.split('.');
  return name === undefined ? `${key} = ${value}` : `[${section ?? ''}]\n${name} = ${value}`;
}

describe('every setting', () => {
  for (const key of settingKeys) {
    const [text, toml, value] = samples[key];
    const { flag, short, alsoEnvironment = [] } = settingOf(key);

    it(`${key} by file`, () => {
      assert.deepEqual(effective({ toml: toToml(key, toml) }, key), {
        value,
        source: 'sierradb.toml',
      });
    });

    for (const name of [environmentName(key), ...alsoEnvironment]) {
      it(`${key} by ${name}`, () => {
        assert.deepEqual(effective({ environment: { [name]: text } }, key), {
          value,
          source: name,
        });
      });
    }

    it(`${key} by --set`, () => {
      const expected = { value, source: '--set' };
      assert.deepEqual(effective({ flags: ['--set', `${key}=${text}`] }, key), expected);
    });

    const flags = [
      flag === undefined ? [] : [`--${flag}`],
      short === undefined ? [] : [`-${short}`],
    ];
    for (const name of flags.flat()) {
      it(`${key} by ${name}`, () => {
        assert.deepEqual(effective({ flags: [name, text] }, key), { value, source: name });
        assert.deepEqual(effective({ flags: [`${name}=${text}`] }, key), { value, source: name });
      });
    }

    it(`${key} says what is wrong with a value of the wrong form`, () => {
      const [problem = '', ...more] = problemsOf({ toml: toToml(key, '[1.5]') });
      assert.deepEqual(more, []);
      assert.match(problem, new RegExp(`^sierradb\\.toml: ${key}: must be `));
    });
  }
});

describe('defaults', () => {
  it('are those of the store', () => {
    const { store } = configOf({});
    const { bucketCount, partitionCount, ...rest } = defaultStoreOptions;
    assert.deepEqual(store, rest);
    assert.equal(settingOf('bucket.count').default, String(bucketCount));
    assert.equal(settingOf('partition.count').default, String(partitionCount));
  });

  it('leave the counts to the directory', () => {
    assert.equal(configOf({}).store.bucketCount, undefined);
    assert.equal(configOf({ flags: ['--set', 'bucket.count=4'] }).store.bucketCount, 4);
  });

  it('listen on 9090 for clients and on loopback 9290 for admins', () => {
    const config = configOf({});
    assert.deepEqual(config.clientAddress, { host: '0.0.0.0', port: 9090 });
    assert.deepEqual(config.adminAddress, { host: '127.0.0.1', port: 9290 });
    assert.equal(config.adminAddressIsConfigured, false);
  });

  it('of append.max_bytes shrinks with journal and segment', () => {
    assert.equal(
      configOf({ flags: ['--set', 'segment.size_bytes=1MiB'] }).store.appendMaxBytes,
      2 ** 20,
    );
    assert.equal(
      configOf({ flags: ['--set', 'journal.file_bytes=8MiB'] }).store.appendMaxBytes,
      2 ** 21,
    );
  });

  it('of the I/O pool is 16 threads; [threads] sizes it', () => {
    assert.equal(configOf({}).poolThreads, 16);
    assert.equal(configOf({ toml: '[threads]\nread = 8\nwrite = 4' }).poolThreads, 12);
  });
});

describe('precedence', () => {
  const toml = '[bucket]\ncount = 2\n[cache]\nheads = 2000\n[journal]\nfiles_max = 5';
  const environment = { SIERRADB_BUCKET_COUNT: '3', SIERRADB_CACHE_HEADS: '3000' };
  const written = { toml, environment, flags: ['--set', 'bucket.count=4'] };

  it('flags over environment over file over default', () => {
    assert.equal(effective(written, 'bucket.count').value, 4);
    assert.equal(effective(written, 'cache.heads').value, 3000);
    assert.equal(effective(written, 'journal.files_max').value, 5);
  });

  it('the full name of a variable over its older forms', () => {
    const environment = { SIERRA_DIR: '/old', SIERRADB_DIR: '/new' };
    assert.deepEqual(effective({ environment }, 'dir'), { value: '/new', source: 'SIERRADB_DIR' });
  });

  it('the last of a repeated flag counts', () => {
    assert.equal(configOf({ flags: ['-d', 'a', '--dir=b'] }).directory, 'b');
  });
});

describe('compatibility with SierraDB 0.3', () => {
  const sample = `
    [append]
    strict_versioning = true
    [bucket]
    count = 4
    [partition]
    count = 32
    [segment]
    size_bytes = 268435456
    [replication]
    factor = 3
    buffer_size = 1000
    buffer_timeout_ms = 8000
    [network]
    client_address = "0.0.0.0:9090"
    cluster_address = "/ip4/0.0.0.0/tcp/0"
    [threads]
    read = 8
    write = 4
  `;

  it('its sample file is accepted as it is', () => {
    const config = configOf({ toml: sample });
    assert.equal(config.store.strictVersioning, true);
    assert.equal(config.poolThreads, 12);
  });

  it('what has no effect is said, once per reason', () => {
    assert.deepEqual(warningsOf({ toml: sample }), [
      'no effect of replication.buffer_size, replication.buffer_timeout_ms: a replicated log has no out-of-order writes to buffer',
      'no effect of network.cluster_address: a single node has no peers',
      'replication.factor 3 is capped at the node count, 1',
    ]);
  });

  it('its command line is accepted', () => {
    const flags =
      '--dir ./data --client-address 0.0.0.0:9091 --log info --mdns true --node-index 0 -n 1';
    const config = configOf({ flags: flags.split(' ') });
    assert.deepEqual([config.directory, config.clientAddress.port], ['./data', 9091]);
    assert.equal(effective({ flags: ['--mdns', '--dir', 'x'] }, 'network.mdns').value, true);
  });

  it('a table of all nodes is refused in one sentence', () => {
    assert.deepEqual(problemsOf({ toml: '[[nodes]]\ndir = "a"' }), [
      'sierradb.toml: nodes: each node has a configuration of its own; network.peers names all of them',
    ]);
  });
});

describe('mistakes', () => {
  it('are reported together, each with its place', () => {
    const problems = problemsOf({
      toml: 'dirr = "x"\n[bucket]\ncount = 300\n[netwrk]\nclient_address = "a:1"',
      environment: { SIERRADB_APPEND_MAX_BYTES: 'lots' },
      flags: ['--dri', '--config', '--set', 'cache.heads'],
    });
    assert.deepEqual(problems, [
      'sierradb.toml: dirr: unknown key; did you mean dir?',
      'sierradb.toml: netwrk.client_address: unknown key; did you mean network.client_address?',
      '--dri: : unknown flag; did you mean --dir?',
      '--config: : needs a value',
      '--set: : needs KEY=VALUE, but is cache.heads',
      'sierradb.toml: bucket.count: must be from 1 to 256, but is 300',
      'SIERRADB_APPEND_MAX_BYTES: append.max_bytes: must be a size in bytes, for example 268435456 or 256MiB',
    ]);
  });

  it('in TOML are found by line and column', () => {
    const [problem = ''] = problemsOf({ toml: '[bucket]\ncount = = 3\n' });
    assert.match(problem, /^sierradb\.toml:2:9: : not valid TOML: /);
  });

  it('an unknown variable is only a warning: it may be meant for another program', () => {
    const environment = {
      SIERRADB_BUCKETCOUNT: '4',
      SIERRADB_SERVICE_HOST: '10.0.0.1',
      SIERRADB_PORT_9090_TCP_ADDR: '10.0.0.1',
      SIERRADB_HEADLESS_SERVICE_PORT_RESP: '9090',
      SIERRADB_CONFIG: 'x.toml',
    };
    assert.deepEqual(warningsOf({ environment }), [
      'unknown environment variable SIERRADB_BUCKETCOUNT; did you mean SIERRADB_BUCKET_COUNT?',
    ]);
  });

  it('an empty variable is none', () => {
    assert.equal(configOf({ environment: { SIERRADB_DIR: '' } }).directory, './data');
  });

  const forms: readonly (readonly [key: SettingKey, text: string])[] = [
    ['network.client_address', '9090'],
    ['network.client_address', 'host'],
    ['network.client_address', 'host:70000'],
    ['network.client_address', '::1:9090'],
    ['network.cluster_address', '/ip4/0.0.0.0/udp/1'],
    ['append.max_bytes', '1.5B'],
    ['append.max_bytes', '16 MiBB'],
    ['append.max_bytes', '-1'],
    ['bucket.count', '4.0'],
    ['bucket.count', ''],
    ['journal.files_max', '0x8'],
    ['append.strict_versioning', 'yes'],
    ['protocol.default', '4'],
    ['partition.ids', '1,a'],
    ['network.peers', 'a:1,b'],
  ];
  for (const [key, text] of forms) {
    it(`${key} refuses '${text}'`, () => {
      assert.equal(problemsOf({ flags: ['--set', `${key}=${text}`] }).length, 1);
    });
  }
});

describe('several nodes', () => {
  const node = (index: number, ...flags: string[]): NodeConfig =>
    configOf({ flags: ['--node-index', String(index), '--node-count', '3', ...flags] });
  const address = (port: number, host = '127.0.0.1'): object => ({ host, port });

  it('are a cluster on one machine by default', () => {
    const { cluster, adminAddress } = node(2);
    assert.deepEqual(cluster, {
      index: 2,
      count: 3,
      factor: 3,
      copyPercent: 20,
      address: address(9192),
      peers: [address(9190), address(9191), address(9192)],
      secretFile: null,
      requestTimeoutMs: 10_000,
    });
    assert.deepEqual(adminAddress, address(9292));
    assert.equal(configOf({}).cluster, null);
  });

  it('are where network.peers says', () => {
    const { cluster } = node(1, '--set', 'network.peers=127.0.0.1:1,127.0.0.1:2,127.0.0.1:3');
    assert.deepEqual(cluster?.address, address(2));
    const flags = ['--set', 'network.peers=a:1,b:2,c:3', '--set', 'network.cluster_secret_file=s'];
    const other = node(1, ...flags, '--cluster-address', '0.0.0.0:2').cluster;
    assert.ok(other !== null);
    assert.deepEqual(other.address, address(2, '0.0.0.0'));
    assert.deepEqual(other.peers[1], address(2, 'b'));
    assert.equal(other.secretFile, 's');
  });

  it('hold min(nodes, 3) copies unless told otherwise', () => {
    const factor = (...flags: string[]): number | undefined => configOf({ flags }).cluster?.factor;
    assert.equal(factor('-n', '2'), 2);
    assert.equal(factor('-n', '5'), 3);
    assert.equal(factor('-n', '5', '--set', 'replication.factor=4'), 4);
    assert.equal(factor('-n', '2', '--set', 'replication.factor=4'), 2);
  });

  const mistakes: readonly (readonly [sets: readonly string[], problem: string])[] = [
    [
      ['node.count=10'],
      'node.count: must be at most 9 for a cluster that is formed by hand, but is 10',
    ],
    [['node.index=3'], 'node.index: must be less than node.count, 3, but is 3'],
    [['network.peers=a:1'], 'network.peers: must name all 3 nodes of node.count, but names 1'],
    [
      ['network.peers=127.0.0.1:1,127.0.0.1:1,127.0.0.1:2'],
      'network.peers: names an address twice',
    ],
    [
      ['network.cluster_enabled=false'],
      'network.cluster_enabled: must be true for a cluster of 3 nodes',
    ],
    [
      ['network.cluster_address=0.0.0.0:9190'],
      'network.cluster_address: 0.0.0.0:9190 can be reached from other machines and needs a secret: network.cluster_secret_file',
    ],
  ];
  for (const [sets, problem] of mistakes) {
    it(sets.join(' '), () => {
      const flags = sets.flatMap((set) => ['--set', set]);
      const [first = ''] = problemsOf({ flags: ['--set', 'node.count=3', ...flags] });
      assert.equal(first, `--set: ${problem}`);
    });
  }
});

describe('a node that an operator takes into a cluster', () => {
  const byOperator = (...sets: string[]): { toml: string; flags: string[] } => ({
    toml: '[cluster]\nforming = "operator"',
    flags: sets.flatMap((set) => ['--set', set]),
  });

  it('is a member without knowing any other', () => {
    const sets = ['network.cluster_address=0.0.0.0:9190', 'network.cluster_secret_file=/run/s'];
    const written = byOperator(...sets);
    const environment = { SIERRADB_NODE_INDEX: '3104' };
    const { cluster } = configOf({ ...written, environment });
    assert.deepEqual(cluster, {
      index: 3104,
      count: 0,
      factor: 0,
      copyPercent: 20,
      address: { host: '0.0.0.0', port: 9190 },
      peers: [],
      secretFile: '/run/s',
      requestTimeoutMs: 10_000,
    });
    assert.deepEqual(warningsOf({ ...written, environment }), []);
  });

  it('has a place of its own on loopback by default', () => {
    const { cluster } = configOf(byOperator('node.index=2'));
    assert.deepEqual(cluster?.address, { host: '127.0.0.1', port: 9192 });
  });

  it('says what the operator decides instead', () => {
    const written = byOperator('node.count=5', 'network.peers=a:1', 'replication.factor=9');
    assert.deepEqual(warningsOf(written), [
      'no effect of node.count, network.peers, replication.factor: the operator’s assignment says it',
    ]);
  });

  const mistakes: readonly (readonly [set: string, problem: string])[] = [
    ['node.index=10000', 'node.index: must be from 0 to 9999, but is 10000'],
    ['network.cluster_enabled=false', 'network.cluster_enabled: must be true for a cluster'],
    [
      'network.cluster_address=0.0.0.0:9190',
      'network.cluster_address: 0.0.0.0:9190 can be reached from other machines and needs a secret: network.cluster_secret_file',
    ],
  ];
  for (const [set, problem] of mistakes) {
    it(set, () => {
      assert.deepEqual(problemsOf(byOperator(set)), [`--set: ${problem}`]);
    });
  }
});

describe('rules between settings', () => {
  const rules: readonly (readonly [sets: readonly string[], problem: string])[] = [
    [['bucket.count=64'], 'bucket.count: partition.count, 32, must be at least bucket.count, 64'],
    [
      ['partition.count=2'],
      'partition.count: partition.count, 2, must be at least bucket.count, 4',
    ],
    [
      ['append.max_bytes=8MiB', 'journal.file_bytes=16MiB'],
      'append.max_bytes: must be at most a quarter of journal.file_bytes, 16777216, but is 8388608',
    ],
    [
      ['append.max_bytes=2MiB', 'segment.size_bytes=1MiB'],
      'append.max_bytes: must be at most segment.size_bytes, 1048576, but is 2097152',
    ],
    [
      ['append.in_flight_bytes_max=1MiB'],
      'append.in_flight_bytes_max: must be at least append.max_bytes, 16777216, but is 1048576',
    ],
    [['node.index=1'], 'node.index: must be less than node.count, 1, but is 1'],
    [
      ['network.admin_address=0.0.0.0:9090'],
      'network.admin_address: is also network.client_address, 0.0.0.0:9090',
    ],
  ];
  for (const [sets, problem] of rules) {
    it(sets.join(' '), () => {
      const flags = sets.flatMap((set) => ['--set', set]);
      assert.deepEqual(problemsOf({ flags }), [`--set: ${problem}`]);
    });
  }

  it('are silent about a setting that could not be read', () => {
    const flags = ['--set', 'bucket.count=x', '--set', 'partition.count=0'];
    assert.equal(problemsOf({ flags }).length, 2);
  });
});
