"""What the doctor says of keys and proxies."""

import pytest

from tests.doctor.conftest import KEY, Chain, posix

pytestmark = posix


async def test_no_key(chain: Chain) -> None:
    chain.record["key_url"] = "https://acme.example/keys"
    del chain.config["provider_api_keys"]
    chain.write()
    found = await chain.examine()
    assert found["provider.acme.key"].state == "fault"
    assert "https://acme.example/keys" in found["provider.acme.key"].cure
    assert not chain.upstream.lookups


async def test_a_variable_that_is_not_set(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACME_KEY", raising=False)
    chain.config["provider_api_keys"] = {"acme": "env:ACME_KEY"}
    chain.write()
    key = (await chain.examine())["provider.acme.key"]
    assert key.state == "fault"
    assert "env:ACME_KEY" in key.sentence
    assert "export ACME_KEY" in key.cure


async def test_a_variable_that_is_set(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_KEY", KEY)
    chain.config["provider_api_keys"] = {"acme": "env:ACME_KEY"}
    chain.write()
    found = await chain.examine()
    assert found["provider.acme.key"].state == "ok"
    assert "env:ACME_KEY" in found["provider.acme.key"].sentence
    assert found["provider.acme.answer"].state == "ok"


async def test_a_pool_with_a_hole(chain: Chain) -> None:
    chain.config["provider_api_keys"] = {"acme": [KEY, "keyring:gone"]}
    chain.write()
    key = (await chain.examine())["provider.acme.key"]
    assert key.state == "warning"
    assert "1 of 2" in key.sentence


async def test_the_shared_key(chain: Chain) -> None:
    del chain.config["provider_api_keys"]
    chain.config["api_key"] = KEY
    chain.write()
    assert "api_key in config.json" in (await chain.examine())["provider.acme.key"].sentence


async def test_no_key_is_needed(chain: Chain) -> None:
    del chain.config["provider_api_keys"]
    chain.record["auth"] = "none"
    chain.write()
    assert (await chain.examine())["provider.acme.answer"].state == "ok"


# --- proxies


async def test_a_proxy_that_is_gone(chain: Chain) -> None:
    chain.config["outbound_proxy"] = "http://me:hidden-word@127.0.0.1:9"
    chain.write()
    found = await chain.examine()
    assert "through the proxy http://…@127.0.0.1:9 (outbound_proxy)" in found["provider.acme.proxy"].sentence
    assert found["provider.acme.reach"].state == "fault"
    assert "proxy" in found["provider.acme.reach"].sentence
    assert "hidden-word" not in str(found)


async def test_direct_past_the_proxy(chain: Chain) -> None:
    chain.config |= {"outbound_proxy": "http://127.0.0.1:9", "provider_proxies": {"acme": "direct"}}
    chain.write()
    found = await chain.examine()
    assert "directly, as 'provider_proxies.acme' says" in found["provider.acme.proxy"].sentence
    assert found["provider.acme.answer"].state == "ok"


async def test_socks_without_its_package(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codex_nexus.doctor.provider.find_spec", lambda name: None)
    chain.config["provider_proxies"] = {"acme": "socks5://127.0.0.1:9"}
    chain.write()
    found = await chain.examine()
    assert found["provider.acme.proxy"].state == "fault"
    assert "codex-nexus[socks]" in found["provider.acme.proxy"].cure
