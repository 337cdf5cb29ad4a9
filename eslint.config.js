import { existsSync } from 'node:fs';
import eslint from '@eslint/js';
import { createNodeResolver, importX } from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';
import { importTable, pureFiles } from './tools/import-table.ts';

const parts = importTable.filter(({ part }) => existsSync(new URL(part, import.meta.url)));

/** Every pair of parts that the table does not name. */
const forbiddenPaths = parts
  .map(({ part, mayImport }) => ({
    target: `./${part}`,
    from: parts
      .filter((other) => other.part !== part && !mayImport.includes(other.part))
      .map((other) => `./${other.part}`),
    message: `The import table (tools/import-table.ts) does not let ${part} import this.`,
  }))
  .filter(({ from }) => from.length > 0);

const testFunctions = [
  'test',
  'it',
  'describe',
  'suite',
  'before',
  'after',
  'beforeEach',
  'afterEach',
];

export default tseslint.config(
  { ignores: ['dist/', 'data/', 'data-bench/', 'coverage/', '**/.venv/', 'node_modules/'] },
  {
    files: ['**/*.ts'],
    extends: [eslint.configs.recommended, tseslint.configs.strictTypeChecked],
    plugins: { 'import-x': importX },
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    settings: {
      'import-x/extensions': ['.ts'],
      'import-x/parsers': { '@typescript-eslint/parser': ['.ts'] },
      'import-x/resolver-next': [createNodeResolver({ extensions: ['.ts', '.js'] })],
    },
    rules: {
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      // It takes Promise.withResolvers<void>() for a mistake.
      '@typescript-eslint/no-invalid-void-type': 'off',
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [{ from: 'package', package: 'node:test', name: testFunctions }],
        },
      ],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrorsIgnorePattern: '^_' },
      ],
      eqeqeq: 'error',
      'import-x/no-cycle': 'error',
      'import-x/no-restricted-paths': ['error', { zones: forbiddenPaths }],
    },
  },
  {
    // What only tests need stays out of what is shipped.
    files: ['{common,node,client,cli,operator}/**/*.ts'],
    ignores: ['**/*.test.ts', '**/testing/**'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [{ group: ['**/testing/**'], message: 'Only tests import helpers for tests.' }],
        },
      ],
    },
  },
  {
    files: [...pureFiles],
    ignores: ['**/*.test.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            { group: ['**/testing/**'], message: 'Only tests import helpers for tests.' },
            {
              regex: '^node:(fs|net|http|https|child_process|worker_threads)(/|$)',
              message: 'This file is pure (tools/import-table.ts).',
            },
          ],
        },
      ],
      'no-restricted-globals': [
        'error',
        'performance',
        'setTimeout',
        'setInterval',
        'setImmediate',
        'fetch',
      ],
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now', message: 'Pure files read no clock.' },
      ],
    },
  },
  {
    files: ['**/*.test.ts', '**/testing/**/*.ts'],
    rules: {
      // A test says what it knows; where it errs, it fails.
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  {
    files: ['**/*.cjs'],
    extends: [eslint.configs.recommended],
    languageOptions: {
      sourceType: 'commonjs',
      globals: {
        require: 'readonly',
        module: 'readonly',
        process: 'readonly',
        __dirname: 'readonly',
        URL: 'readonly',
      },
    },
  },
  {
    files: ['**/*.js', '**/*.mjs'],
    extends: [eslint.configs.recommended],
    languageOptions: { globals: { process: 'readonly', console: 'readonly', URL: 'readonly' } },
  },
);
