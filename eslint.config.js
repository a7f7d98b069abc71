import js from '@eslint/js';
import { defineConfig } from 'eslint/config';
import { createTypeScriptImportResolver } from 'eslint-import-resolver-typescript';
import importX from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

export default defineConfig(
  { ignores: ['dist', 'dist.*', 'status/page/built', 'node_modules', 'bin/node', 'docs/site', '.mutation'] },
  js.configs.recommended,
  tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['eslint.config.js'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
  },
  {
    rules: {
      'no-console': 'error',
      eqeqeq: 'error',
      // Prettier breaks code, but not comments.
      'max-len': ['error', { code: 1000, comments: 120, ignoreUrls: true, ignorePattern: 'prettier-ignore' }],
      'no-restricted-syntax': ['error', { selector: 'ExportDefaultDeclaration', message: 'Name what you export.' }],
      // A longer function holds several ideas: a state record and plain functions (health/hysteresis.ts).
      'max-lines-per-function': ['error', { max: 100 }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      // Numbers that index a typed array are known to be inside it where the compiler cannot see it;
      // the rule would push every hot loop into needless checks.
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', ignoreUsingDeclarations: true }],
    },
  },
  {
    plugins: { 'import-x': importX },
    settings: { 'import-x/resolver-next': [createTypeScriptImportResolver()] },
    rules: {
      // Node.js, then packages, then rooms, then neighbours; each in the order of the alphabet.
      'import-x/order': [
        'error',
        {
          groups: ['builtin', 'external', 'parent', 'sibling'],
          alphabetize: { order: 'asc', caseInsensitive: true },
          'newlines-between': 'never',
        },
      ],
      'import-x/no-duplicates': 'error',
      'import-x/no-cycle': 'error',
    },
  },
  { files: ['test/**', 'bench/**'], rules: { 'no-console': 'off' } },
  { files: ['fleet/**'], rules: { 'max-lines-per-function': ['error', { max: 120 }] } },
  {
    files: ['test/**'],
    rules: {
      'max-lines-per-function': 'off',
      'no-restricted-properties': [
        'error',
        ...['mock', 'doMock'].map((property) => ({
          ...{ object: 'vi', property },
          message: 'Files of a worker share modules: use vi.spyOn, which holds whoever loaded the module first.',
        })),
      ],
    },
  },
  {
    files: [
      'vitest.config.ts',
      'test/tools/mutation/vitest.config.ts',
      'test/tools/mutation/kept-tests.ts',
      'eslint.config.js',
    ],
    rules: { 'no-restricted-syntax': 'off' },
  },
);
