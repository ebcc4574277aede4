"""Every kind of secret is found, by name or by form, and what only looks a little like one is let through."""

from __future__ import annotations

import pytest

from deploy.denylist import find_secret, is_secret_name, is_text

# Put together here, so that no scanner takes this file for a leak.
FORTY = "aB3/" * 10
SECRETS = {
    "AWS access key id": "id = " + "AKI" + "A" + "Q3EXAMPLE7ABCDEF",
    "AWS temporary key id": "ASI" + "A" + "Q3EXAMPLE7ABCDEF",
    "AWS secret in an ini file": "aws_secret_access" + "_key = " + FORTY,
    "AWS secret in JSON": '{"SecretAccess' + 'Key": "' + FORTY + '"}',
    "AWS secret in the environment": "AWS_SECRET_ACCESS" + "_KEY=" + FORTY,
    "GitHub personal": "gh" + "p_" + "a1B2" * 9,
    "GitHub OAuth": "gh" + "o_" + "a1B2" * 9,
    "GitHub user": "gh" + "u_" + "a1B2" * 9,
    "GitHub server": "gh" + "s_" + "a1B2" * 9,
    "GitHub refresh": "gh" + "r_" + "a1B2" * 9,
    "GitHub fine-grained": "github" + "_pat_" + "11ABCDEFG0" * 4,
    "Hugging Face": "token='h" + "f_" + "aBcDeFgHiJ" * 3 + "klmn'",
    "OpenAI": "s" + "k-" + "aB3d" * 12,
    "OpenAI project": "s" + "k-proj-" + "aB3d_" * 10,
    "Slack bot": "xox" + "b-" + "123456789012-abcdef",
    "Slack user": "xox" + "p-" + "123456789012-abcdef",
    "Google API": "AI" + "za" + "Sy0-_" * 7,
    "JSON Web Token": "Bearer "
    + "ey"
    + "JhbGciOiJIUzI1NiJ9"
    + ".ey"
    + "JzdWIiOiIxMjM0NTY3ODkwIn0"
    + ".c2lnbmVk",
    "RSA key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "plain key": "-----BEGIN " + "PRIVATE KEY-----",
    "OpenSSH key": "-----BEGIN OPENSSH " + "PRIVATE KEY-----",
    "PGP key": "-----BEGIN PGP " + "PRIVATE KEY BLOCK-----",
    "service account": '{"type": "service' + '_account",\n"private' + '_key": "abc"}',
    "requirements index": "--extra-index-url https://bob:" + "hunter2@pypi.example.com/simple",
    "pip.conf index": "index-url = https://" + "__token__:" + "hunter2@pypi.example.com/simple",
    "database": 'URL = "postgres://' + "app:" + 'hunter2@db/flights"',
    "no user": "redis://" + ":hunter2@cache:6379/0",
}

INNOCENT = {
    "pip reads it from the environment": "--index-url https://${USER}:${TOKEN}@pypi.example.com/simple",
    "an f-string": 'f"postgres://{user}:{password}@{host}/db"',
    "a format": '"https://%s:%s@%s" % parts',
    "a placeholder": "https://user:<password>@example.com",
    "a port": "http://example.com:8080/path@2x.png",
    "a font": "https://fonts.example.com/css2?family=Inter:wght@400",
    "sklearn's style sheet": "#sk-container-id-1 div.sk-toggleable__content-fitted-3",
    "a word that ends so": "task-Forward-2024-model-Checkpoint-0001",
    "a short prefix": "hf_hub_download ghp_x sk-learn xoxb- github_pat_",
    "a constant with AKIA in it": "NAKIAMURAFLIGHTSTATION1 AKIAS",
    "a public key": "-----BEGIN PUBLIC KEY-----",
    "a service account without a key": '{"type": "service_account", "project": "x"}',
    "a hash": "aws_secret_access_key_sha256 = " + "ab12" * 16,
}

SECRET_NAMES = [
    ".env",
    ".env.local",
    ".ENV",
    "sub/.env.production",
    ".netrc",
    ".pypirc",
    ".npmrc",
    ".htpasswd",
    ".git",
    "sub/.git",
    ".aws",
    ".ssh",
    "a/.docker/config.json",
    "credentials",
    ".aws/credentials",
    "credentials.json",
    "production.env",
    ".envrc",
    "putty.ppk",
    "store.jks",
    "release.keystore",
    "server.pem",
    "a/server.PEM",
    "tls.key",
    "cert.p12",
    "cert.pfx",
    "id_rsa",
    "id_rsa.pub",
    ".ssh/id_ed25519",
    "id_ecdsa",
    "service-account.json",
    "service-account-prod.json",
    "service_account.json",
    ".cache/huggingface/token",
    ".huggingface/token",
    "huggingface/stored_tokens",
    ".hf_token",
    "hf_token.txt",
    "application_default_credentials.json",
    ".git-credentials",
]

INNOCENT_NAMES = [
    "handler.py",
    "environment.py",
    ".gitignore",
    ".gitattributes",
    "model.safetensors",
    "tokenizer.json",
    "tokens.txt",
    "token_counts.csv",
    "config.json",
    "docker/config.json",
    "key.py",
    "keys.json",
    "pem.txt",
    "credentials.py",
    "my_credentials_test.txt",
    "monkey",
    "idrsa.txt",
    "env",
]


@pytest.mark.parametrize("text", SECRETS.values(), ids=SECRETS.keys())
def test_a_secret_is_found_on_its_line_and_not_repeated(text):
    found = find_secret(b"first line\nsecond\n" + text.encode() + b"\nlast\n")

    assert found is not None
    assert found.line == 3
    assert found.kind not in text
    assert "hunter2" not in found.kind


@pytest.mark.parametrize("text", INNOCENT.values(), ids=INNOCENT.keys())
def test_what_only_resembles_a_secret_is_let_through(text):
    assert find_secret(text.encode()) is None


def test_the_first_of_several_secrets_is_the_one_that_is_named():
    text = "\n".join(["", SECRETS["RSA key"], SECRETS["GitHub personal"]])

    assert find_secret(text.encode()).kind == "a private key"
    assert find_secret(text.encode()).line == 2


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_a_file_known_for_secrets_is_known_by_its_name(name):
    assert is_secret_name(name)


@pytest.mark.parametrize("name", INNOCENT_NAMES)
def test_a_harmless_name_is_let_through(name):
    assert not is_secret_name(name)


def test_bytes_with_a_nul_are_no_text():
    assert is_text("déjà vu".encode())
    assert not is_text(b"PK\x03\x04\x00")
