DROP TABLE requirement;
