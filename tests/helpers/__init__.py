"""What several test modules share; tests import it as `tests.helpers`."""
