import socket
import threading

import pytest

from backend.demo.client import Client, ClientError, Event, error_text, parse_events


def test_events_are_read_by_the_standard():
    stream = ["retry: 3000\n", "\n", ": keep-alive\n", "\n", "id: 7\n", "event: state\n", 'data: {"a":\n', "data: 1}\n"]
    stream += ["\n", "event:progress\n", "data:{}\n", "\n", "data: 1\n"]
    assert list(parse_events(iter(stream))) == [Event("state", {"a": 1}, "7"), Event("progress", {}, "")]


def test_an_error_body_is_its_sentence():
    assert error_text(b'{"error": "no such run"}') == "no such run"
    assert error_text(b"<h1>Bad gateway</h1>") == "<h1>Bad gateway</h1>"


def test_no_server_is_a_client_error():
    with pytest.raises(ClientError, match=r"no answer from http://127\.0\.0\.1:1: .*refused") as problem:
        Client("http://127.0.0.1:1").get("/api/health")
    assert problem.value.status == 0


def test_an_answer_that_breaks_off_is_a_client_error():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"half": ')

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(ClientError, match="the answer broke off: IncompleteRead") as problem:
            Client(f"http://127.0.0.1:{listener.getsockname()[1]}").get("/api/health")
        thread.join()
    assert problem.value.status == 0
