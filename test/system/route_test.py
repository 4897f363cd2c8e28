#!/usr/bin/env python3
"""A route has its own TLS and login: one Waybill hands mail to another that asks for both."""
import pathlib, subprocess, sys, tempfile
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from waybill_test import *
import crypt

TEXT = "From: a@sender.test\r\nTo: b@receiver.test\r\nSubject: through\r\n\r\nHello.\r\n"

with tempfile.TemporaryDirectory() as tmp:
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=hop.test",
                    "-keyout", f"{tmp}/key.pem", "-out", f"{tmp}/cert.pem"], check=True, capture_output=True)
    pathlib.Path(f"{tmp}/logins").write_text(f"app:{crypt.crypt('a secret', crypt.mksalt(crypt.METHOD_SHA512))}\n")
    sink, port = Sink(f"{tmp}/sink"), free_ports(1)[0]
    hop = Waybill(port=port, settings=f'tls_certificate = "{tmp}/cert.pem"\ntls_key = "{tmp}/key.pem"\nlogins_file = "{tmp}/logins"\n'
                  'relay_networks = { "192.0.2.0/24" }',
                  route=f'route "*" {{ via = {{ "127.0.0.1:{sink.port}" }} tls = none }}\n')
    hop.config.write_text(hop.config.read_text().replace("tls = none  }", "tls = starttls auth = required }"))
    good = f'route "*" {{ via = {{ "127.0.0.1:{port}" }} tls = require login = "app:a secret" }}\n'
    bad = f'route "receiver.test" {{ via = {{ "127.0.0.1:{port}" }} tls = require login = "app:wrong" }}\n'
    with hop:
        with Waybill(route=good, settings='outbound_tls = none') as w:
            first = w.send(TEXT)
            wait_for(lambda: w.states(first) == ["delivered"], "a delivery with TLS and login")
            assert b"with ESMTPSA" in wait_for(sink.mails, "the mail")[0], sink.mails()
        with Waybill(route=bad, settings='outbound_tls = none') as w:
            second = w.send(TEXT)
            event = wait_for(lambda: [e for e in w.show(second)["events"] if e["event"] == "deferred"], "a deferral")[0]
            assert "Name or password is wrong" in event["text"], event
    sink.close()
print("2 passed, 0 failed")
